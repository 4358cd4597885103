/** Programs that leave branches to be followed, one a turn: Linux has an error number for each kind, where there are too many. */
import { parseCases } from './case-file.js'
import { programOf, type CaseProgram } from './case-program.js'

export interface Fork {
  /** What is left. */
  readonly name: string
  /** Of Linux, if there are too many. */
  readonly errno: number
  /** Some builds of 6.18 leave none. */
  readonly isNew?: true
  /** Turns that are fine. */
  readonly fewer: number
  readonly text: string
}

/** Turns that aren't. */
export const TOO_MANY = 9000

export function forking(text: string, turns: number): CaseProgram {
  const [one] = parseCases(
    'limits',
    `map locked = array value=struct:guarded max=1
struct guarded { struct bpf_res_spin_lock lock; u32 n; }
## turns
${text.replace('TURNS', String(turns))}
accepted`,
  )
  if (one === undefined) throw new Error('no case')
  return programOf(one)
}

const MAY_GOTO = `
  r8 = 0
again:
  may_goto pc+0
  r8 += 1
  if r8 != TURNS goto again
  r0 = 0
  exit`

const CALLBACK = `
func callback = static int callback(u32 index, void *ctx)
  r8 = 0
again:
  r1 = 5
  r2 = subprog[callback]
  r3 = 0
  r4 = 0
  call bpf_loop
  r8 += 1
  if r8 != TURNS goto again
  r0 = 0
  exit
callback:
  r0 = 0
  exit`

const LD_ABS = `
func sub = static int sub(struct __sk_buff *skb)
struct __sk_buff { u32 len; }
  r6 = r1
  r8 = 0
again:
  r1 = r6
  call sub
  r8 += 1
  if r8 != TURNS goto again
  r0 = 0
  exit
sub:
  r6 = r1
  r0 = *(u8 *)skb[0]
  exit`

const ITERATOR = `
type sched_cls
  r8 = 0
again:
  r1 = r10
  r1 += -8
  r2 = 0
  r3 = 10
  call kfunc[bpf_iter_num_new]
  r1 = r10
  r1 += -8
  call kfunc[bpf_iter_num_next]
  r6 = r0
  r1 = r10
  r1 += -8
  call kfunc[bpf_iter_num_destroy]
  if r6 != 0 goto out
  r8 += 1
  if r8 != TURNS goto again
out:
  r0 = 0
  exit`

const LOCK = `
type sched_cls
  r8 = 0
again:
  r1 = map[locked]+0
  call kfunc[bpf_res_spin_lock]
  if r0 != 0 goto failed
  r1 = map[locked]+0
  call kfunc[bpf_res_spin_unlock]
failed:
  r8 += 1
  if r8 != TURNS goto again
  r0 = 0
  exit`

const ENOMEM = 12
const EFAULT = 14

export const FORKS: readonly Fork[] = [
  { name: 'ends of loops by may_goto', errno: ENOMEM, fewer: 8000, text: MAY_GOTO },
  { name: 'callbacks', errno: ENOMEM, fewer: 3, text: CALLBACK },
  { name: 'ends of functions by LD_ABS', isNew: true, errno: EFAULT, fewer: 8000, text: LD_ABS },
  { name: 'turns of iterators', errno: ENOMEM, fewer: 8000, text: ITERATOR },
  { name: 'locks that are not had', errno: ENOMEM, fewer: 3, text: LOCK },
]
