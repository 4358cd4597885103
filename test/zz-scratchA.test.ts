import { test } from '/work/main/node_modules/vitest/dist/index.js'
import { readFileSync } from 'node:fs'
import { parseBtf } from '/work/main/lib/btf/parse.js'
test('vm', () => {
  const b = new Uint8Array(readFileSync('/sys/kernel/btf/vmlinux'))
  for (let i=0;i<4;i++){ const t = performance.now(); const btf = parseBtf(b); const t2=performance.now(); btf.find('task_struct'); console.log(btf.types.length, t2-t, performance.now()-t2)
   if(i==3) for (const n of ['bpf_prog_type','bpf_map_type','bpf_attach_type']) for (const id of btf.find(n)) {const t=btf.types[id]; if(t.kind=='enum') console.log(n, t.values.map(v=>v.name.replace('BPF_','')+'='+v.value).join(' '))}
  }
})
