/** Atomic instructions: a load and a store at once, load-acquire, store-release. */
import { ATOMIC, ATOMIC_OPERATIONS } from '../../isa/opcodes.js'
import { accessMemory } from './memory-access.js'
import { checkWritable, readRegister } from './operands.js'
import { denied, invalid } from './rejection.js'
import { typeName } from './type-names.js'
import { KIND, type Register } from './values/register.js'
import type { Verification } from './verification.js'

export function simulateAtomic(env: Verification, size: number): void {
  const { code, insn } = env
  const imm = code.immAt(insn)
  const operation = ATOMIC_OPERATIONS.get(imm)
  if (operation === undefined)
    return invalid(`BPF_ATOMIC uses invalid atomic opcode ${(imm >>> 0).toString(16).padStart(2, '0')}`)
  if (imm === ATOMIC.LOAD_ACQUIRE) return loadAcquire(env, size)
  if (imm === ATOMIC.STORE_RELEASE) return storeRelease(env, size)
  exchange(env, size, imm, operation.fetch)
}

function loadAcquire(env: Verification, size: number): void {
  const { code, insn, registers } = env
  const src = code.srcAt(insn)
  const base = readRegister(env, src)
  checkWritable(code.dstAt(insn))
  const loaded = accessMemory(env, {
    number: src,
    offset: code.offset[insn] as number,
    size,
    write: false,
    atomic: true,
  })
  checkKind(src, base, 'loads from')
  registers[code.dstAt(insn)] = loaded
}

function storeRelease(env: Verification, size: number): void {
  const { code, insn } = env
  const dst = code.dstAt(insn)
  const src = code.srcAt(insn)
  readRegister(env, src)
  const base = readRegister(env, dst)
  accessMemory(env, {
    number: dst,
    offset: code.offset[insn] as number,
    size,
    write: true,
    stored: { register: src },
    atomic: true,
  })
  checkKind(dst, base, 'stores into')
}

/** Contexts, packets and sockets have no atomic access. */
function checkKind(number: number, base: Register, verb: string): void {
  switch (base.kind) {
    case KIND.CTX:
    case KIND.PACKET:
    case KIND.PACKET_META:
    case KIND.FLOW_KEYS:
    case KIND.SOCKET:
    case KIND.SOCK_COMMON:
    case KIND.TCP_SOCK:
    case KIND.XDP_SOCK:
      denied(`BPF_ATOMIC ${verb} R${number} ${typeName(base)} is not allowed`)
  }
}

function exchange(env: Verification, size: number, imm: number, fetch: boolean): void {
  const { code, insn, registers } = env
  const dst = code.dstAt(insn)
  const src = code.srcAt(insn)
  if (size < 4) invalid('invalid atomic operand size')
  readRegister(env, src)
  const base = readRegister(env, dst)
  const compares = imm === ATOMIC.CMPXCHG
  if (env.isSecret(env.register(src))) denied(`R${src} leaks addr into mem`)
  if (compares && env.isSecret(readRegister(env, 0))) denied('R0 leaks addr into mem')
  checkKind(dst, base, 'stores into')
  const offset = code.offset[insn] as number
  const taken = compares ? 0 : src
  if (fetch) checkWritable(taken)
  const loaded = accessMemory(env, { number: dst, offset, size, write: false, atomic: true })
  if (base.kind === KIND.STACK && env.isSecret(loaded))
    denied(`leaking pointer from stack off ${base.offset + offset}`)
  accessMemory(env, { number: dst, offset, size, write: true, stored: undefined, atomic: true })
  if (fetch) registers[taken] = loaded
}
