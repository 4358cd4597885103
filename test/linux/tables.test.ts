import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseBtf } from '../../lib/btf/parse.js'
import { findType } from '../../lib/btf/query.js'
import { attachTypeName, BPF_ATTACH_TYPE } from '../../lib/linux/attach-types.js'
import {
  BPF_MAP_FLAGS,
  BPF_MAP_TYPE,
  isPerCpu,
  mapFlagNames,
  MAP_TYPES,
  mapTypeName,
} from '../../lib/linux/map-types.js'
import { BPF_PROG_TYPE, PROGRAM_TYPES, programType, programTypeName } from '../../lib/linux/program-types.js'
import {
  nearestSections,
  resolveSection,
  SECTIONS,
  unknownSection,
  whyNotAttachable,
} from '../../lib/linux/sections.js'

const VMLINUX = '/sys/kernel/btf/vmlinux'

test.skipIf(!existsSync(VMLINUX))('the tables agree with the running kernel', () => {
  const btf = parseBtf(new Uint8Array(readFileSync(VMLINUX)))
  const tables = [
    { name: 'bpf_prog_type', prefix: 'BPF_PROG_TYPE_', table: BPF_PROG_TYPE },
    { name: 'bpf_map_type', prefix: 'BPF_MAP_TYPE_', table: BPF_MAP_TYPE },
    { name: 'bpf_attach_type', prefix: 'BPF_', table: BPF_ATTACH_TYPE },
  ]
  for (const { name, prefix, table } of tables) {
    const kernel = new Map(findType(btf, name, 'enum')?.type.values.map((value) => [value.name, value.value]))
    const known = Object.entries(table).filter(([key]) => kernel.has(prefix + key))
    expect(known.length).toBeGreaterThan(20)
    expect(known).toEqual(known.map(([key]) => [key, kernel.get(prefix + key)]))
  }
  const values = btf.types.flatMap((type) => (type.kind === 'enum' ? type.values : []))
  const kernelFlags = new Map(values.map(({ name, value }) => [name, value]))
  const flags = Object.entries(BPF_MAP_FLAGS).filter(([name]) => kernelFlags.has(name))
  expect(flags.length).toBeGreaterThan(10)
  expect(flags).toEqual(flags.map(([name]) => [name, kernelFlags.get(name)]))
})

test('rows stand at the number of their type', () => {
  PROGRAM_TYPES.forEach(({ type }, i) => expect(type).toBe(i + 1))
  MAP_TYPES.forEach(({ type }, i) => expect(type).toBe(i + 1))
  expect(PROGRAM_TYPES).toHaveLength(BPF_PROG_TYPE.NETFILTER)
  expect(MAP_TYPES).toHaveLength(BPF_MAP_TYPE.INSN_ARRAY)
})

test('names are those of bpftool', () => {
  expect(programTypeName(BPF_PROG_TYPE.SCHED_CLS)).toBe('sched_cls')
  expect(mapTypeName(BPF_MAP_TYPE.LRU_PERCPU_HASH)).toBe('lru_percpu_hash')
  expect(attachTypeName(BPF_ATTACH_TYPE.TRACE_FENTRY)).toBe('trace_fentry')
  expect([programTypeName(999), mapTypeName(999), attachTypeName(999)]).toEqual(['type 999', 'type 999', 'attach type 999']) // prettier-ignore
})

test('capabilities, per-CPU values and flags are told', () => {
  expect(programType(BPF_PROG_TYPE.TRACING)?.capabilities).toEqual(['perfmon'])
  expect(programType(BPF_PROG_TYPE.XDP)?.capabilities).toEqual(['net_admin'])
  expect(isPerCpu(BPF_MAP_TYPE.PERCPU_ARRAY)).toBe(true)
  expect(isPerCpu(BPF_MAP_TYPE.ARRAY)).toBe(false)
  expect(mapFlagNames(0x480)).toEqual(['BPF_F_RDONLY_PROG', 'BPF_F_MMAPABLE'])
  expect(mapFlagNames(0x8000_0000)).toEqual(['0x80000000'])
})

describe('a section name', () => {
  test.each([
    ['xdp', BPF_PROG_TYPE.XDP, BPF_ATTACH_TYPE.XDP, ''],
    ['tp_btf/sched_process_exec', BPF_PROG_TYPE.TRACING, BPF_ATTACH_TYPE.TRACE_RAW_TP, 'sched_process_exec'],
    ['tracepoint/syscalls/sys_enter_openat', BPF_PROG_TYPE.TRACEPOINT, 0, 'syscalls/sys_enter_openat'],
    ['?fexit.s/do_unlinkat', BPF_PROG_TYPE.TRACING, BPF_ATTACH_TYPE.TRACE_FEXIT, 'do_unlinkat'],
    ['cgroup_skb/egress', BPF_PROG_TYPE.CGROUP_SKB, BPF_ATTACH_TYPE.CGROUP_INET_EGRESS, ''],
    ['sk_skb/stream_verdict', BPF_PROG_TYPE.SK_SKB, BPF_ATTACH_TYPE.SK_SKB_STREAM_VERDICT, ''],
    ['uprobe//usr/bin/bash:readline', BPF_PROG_TYPE.KPROBE, 0, '/usr/bin/bash:readline'],
    ['kprobe', BPF_PROG_TYPE.KPROBE, 0, ''],
  ])('%s is resolved', (name, type, expectedAttachType, target) => {
    expect(resolveSection(name)).toMatchObject({ type, expectedAttachType, target })
  })

  test.each(['', '?', 'xdp/eth0', 'kprobes/x', 'fentry.x/y', 'cgroup/nothing', 'constructor'])(
    '%j stands for nothing',
    (name) => {
      expect(resolveSection(name)).toBeUndefined()
    },
  )

  test('tells whether a program may sleep and takes fragments', () => {
    expect(resolveSection('lsm.s/file_open')?.sleepable).toBe(true)
    expect(resolveSection('lsm/file_open')?.sleepable).toBe(false)
    expect(resolveSection('xdp.frags')?.fragments).toBe(true)
  })

  test('that is not known leads to the nearest ones', () => {
    expect(nearestSections('tracpoint/sched/sched_switch')[0]).toBe('tracepoint/sched/sched_switch')
    expect(nearestSections('cgroup_skb/egres')).toContain('cgroup_skb/egress')
    expect(unknownSection('handle', 'kprob/x')).toMatchObject({
      code: 'UNKNOWN_SECTION',
      message: expect.stringContaining('SEC("kprobe/x")') as string,
    })
  })

  test('tells why it is not enough to attach', () => {
    expect(whyNotAttachable('tp_btf/sched_switch')).toBeUndefined()
    expect(whyNotAttachable('tp_btf')).toContain('names no target')
    expect(whyNotAttachable('xdp')).toBe('it needs a network interface')
    expect(whyNotAttachable('cgroup/connect4')).toBe('it needs a cgroup')
    expect(SECTIONS.filter(({ prefix }) => whyNotAttachable(prefix) === 'it needs a target')).toEqual([])
  })
})
