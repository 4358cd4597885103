/**
 * The rows of the table in docs/kernels.md: attach types, and the tests that see them fire.
 *
 * A test is named by its file (in test/native, without the endings) and its titles: `links > attachments > kprobe > fires until …`.
 */

/** @param title beginning of a suite's title in one of the two suites that every link goes through */
const link = (title) => new RegExp(`^(links > attachments|network-links > .*?) > ${title}( |,|$)`)

/** By the field's names, in the order of the documentation. */
export const ATTACH_TYPES = new Map([
  ['kprobe', [link('kprobe'), /^kernel-probes > kprobes >/]],
  ['kretprobe', [link('kretprobe')]],
  ['ksyscall', [link('ksyscall')]],
  ['kprobe.multi', [link('kprobe\\.multi'), /^kernel-probes > kprobe\.multi >/]],
  ['kretprobe.multi', [link('kretprobe\\.multi')]],
  ['kprobe.session', [link('kprobe\\.session')]],
  ['uprobe', [link('uprobe'), /^user-probes > user probes >/]],
  ['uretprobe', [link('uretprobe')]],
  ['uprobe.multi', [link('uprobe\\.multi'), /^user-probes > uprobe\.multi >/]],
  ['uretprobe.multi', [link('uretprobe\\.multi')]],
  ['uprobe.session', [link('uprobe\\.session')]],
  ['USDT', [link('USDT'), /^user-probes > USDT probes >/]],
  ['tracepoint', [link('tracepoint'), /^kernel-probes > tracepoints by tracefs >/]],
  ['raw_tp', [link('raw_tp')]],
  ['raw_tp.w (writable)', [link('raw_tp\\.w')]],
  ['tp_btf', [link('tp_btf')]],
  ['fentry', [link('fentry')]],
  ['fexit', [link('fexit')]],
  ['fsession', [link('fsession')]],
  ['fmod_ret', [link('fmod_ret'), /^kernel-probes > fmod_ret >/]],
  ['sleepable fentry', [link('sleepable fentry')]],
  ['LSM', [link('LSM')]],
  ['sleepable LSM', [link('sleepable LSM')]],
  ['lsm_cgroup', [link('lsm_cgroup')]],
  ['freplace', [link('freplace'), /^kernel-probes > freplace >/]],
  ['perf_event', [link('perf_event'), /^perf-event > perf events >/]],
  ['XDP', [link('XDP'), /^attach-xdp > attachXdp\(\) >/]],
  ['tc by clsact', [link('clsact'), /^attach-tc > attachTc\(\) >/]],
  ['tcx', [link('tcx'), /^attach-tc > attachTc\(\) by tcx >/]],
  ['netkit', [link('netkit')]],
  ['cgroup', [link('cgroup'), /^attach-cgroup >/]],
  ['sk_msg, sk_skb (sockmap)', [link('sk_msg'), link('sk_skb'), /^attach-socket > attachSockmap\(\)/]],
  ['socket filter, reuseport', [link('socket filter'), /^attach-socket > attachSocket\(\) >/]],
  ['sk_lookup', [link('sk_lookup'), /^attach-network > attachNetns\(\) > .*sk_lookup/]],
  ['flow_dissector', [link('flow_dissector'), /^attach-network > attachNetns\(\) > .*flow.dissector/]],
  ['netfilter', [link('netfilter'), /^attach-network > attachNetfilter\(\)/]],
  ['lwt_in, lwt_out, lwt_xmit', [link('lwt_xmit'), /^attach-network > attachLwt\(\) > (?!ends segments)/]],
  ['lwt_seg6local', [link('lwt_seg6local'), /^attach-network > attachLwt\(\) > ends segments/]],
  ['iterators', [link('iter'), /^iterators >/]],
  ['struct_ops', [link('struct_ops'), /^settings > struct_ops >/, /^struct-ops >/]],
  ['syscall (run on demand)', [/^program > /, /^program-run > program\.run\(\)/]],
])
