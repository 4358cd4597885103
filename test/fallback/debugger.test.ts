import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createKernel, type FallbackKernel, type Stop, type StopAction } from '../../lib/fallback/index.js'
import type { Debugger } from '../../lib/fallback/index.js'
import { open } from '../../lib/open.js'
import type { BpfObject } from '../../lib/object.js'
import { code } from '../support/errors.js'
import { objectUrl } from '../support/fallback.js'

let kernel: FallbackKernel
let object: BpfObject
beforeEach(() => {
  kernel = createKernel()
  kernel.tracepoints.define('debug_event', [{ name: 'value', type: 'u64' }])
  object = open(objectUrl('test/debugged'), { kernel }).load()
})
afterEach(() => object.close())

const context = (count: number): Uint8Array => new Uint8Array(Uint32Array.of(count, 0).buffer)

function sumOfSquares(count: number): number {
  const { ctx } = object.program('sum_of_squares').run({ ctx: context(count) })
  return new DataView((ctx ?? context(0)).buffer).getUint32(4, true)
}

/** Number of the line with this text. */
function lineOf(debug: Debugger, text: string): number {
  const found = debug.instructions.find(({ source }) => source?.text.includes(text))?.source
  if (found === undefined) throw new Error(`no line '${text}'`)
  return found.line
}

describe('a debugger', () => {
  it('stops at a source line, and shows registers, stack and memory there', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    const seen: unknown[] = []
    debug.breakpoint({ line: lineOf(debug, 'total += product'), file: 'debugged.bpf.c' }, (stop) => {
      const [r0, r1] = stop.registers
      seen.push([stop.reason, stop.function, stop.depth, r0, r1].slice(0, 3))
      const caller = new DataView(stop.stack(1).buffer).getBigUint64(504, true)
      expect(caller).toBe(0x1122334455667788n)
      const framePointer = stop.registers[10] ?? 0n
      expect(stop.read(framePointer - 512n, 512)).toEqual(stop.stack())
    })
    expect(sumOfSquares(3)).toBe(14)
    expect(seen).toEqual(Array.from({ length: 3 }, () => ['breakpoint', 'square', 1]))
  })

  it('stops at a function and at an instruction', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    const stops: Stop[] = []
    debug.breakpoint({ function: 'square' }, (stop) => void stops.push(stop))
    debug.breakpoint({ insn: 0 }, (stop) => void stops.push(stop))
    sumOfSquares(2)
    expect(stops.map((stop) => stop.function)).toEqual(['sum_of_squares', 'square', 'square'])
    expect(stops[0]?.insn).toBe(0)
    expect(stops[0]?.text).toBe(debug.instructions[0]?.text)
  })

  it('tells the frames, the innermost first', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    let frames: readonly unknown[] = []
    debug.breakpoint({ function: 'square' }, (stop) => {
      frames = stop.frames.map((frame) => [frame.function, frame.source?.text])
    })
    sumOfSquares(1)
    expect(frames).toEqual([
      ['square', expect.stringContaining('value')],
      ['sum_of_squares', 'sum += square(i);'],
    ])
  })

  it('steps by instructions, lines, over and out of functions', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    const script: StopAction[] = ['step', 'out', 'over', 'continue']
    const seen: (readonly [string, string])[] = []
    const handler = (stop: Stop): StopAction => {
      seen.push([stop.reason, stop.function])
      return script[seen.length - 1] ?? 'continue'
    }
    const breakpoint = debug.breakpoint({ function: 'square' }, handler)
    sumOfSquares(1)
    expect(seen).toEqual([
      ['breakpoint', 'square'],
      ['step', 'square'],
      ['step', 'sum_of_squares'],
      ['step', 'sum_of_squares'],
    ])
    breakpoint.remove()
    sumOfSquares(1)
    expect(seen).toHaveLength(4)
  })

  it('goes over a function by lines, and into it', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    const visited = (action: StopAction): string[] => {
      const functions: string[] = []
      debug.pause((stop) => {
        functions.push(stop.function)
        return action
      })
      sumOfSquares(2)
      return functions
    }
    expect(visited('over')).not.toContain('square')
    expect(
      visited('line').filter((name, i, all) => name === 'square' && all[i - 1] !== 'square'),
    ).toHaveLength(2)
  })

  it('stops in callbacks of helpers, with the frame that called the helper', () => {
    using debug = kernel.debug(object.program('with_callback'))
    const seen: unknown[] = []
    debug.breakpoint({ function: 'visit' }, (stop) => {
      seen.push([stop.registers[1], stop.frames.map((frame) => frame.function)])
    })
    object.program('with_callback').run()
    expect(seen).toEqual([0n, 1n, 2n].map((index) => [index, ['visit', 'with_callback']]))
    expect(object.bss['total']).toBe(3)
  })

  it('stops where a tracepoint fires', () => {
    using link = object.program('on_event').attach()
    using debug = kernel.debug(object.program('on_event'))
    let stops = 0
    debug.breakpoint({ insn: 0 }, () => void stops++)
    kernel.fire('raw_tp/debug_event', { value: 5n })
    expect([stops, object.bss['total'], link.target]).toEqual([1, 5, 'raw_tp/debug_event'])
  })

  it('changes registers', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    debug.breakpoint({ function: 'square' }, (stop) => stop.setRegister(1, 10n))
    expect(sumOfSquares(1)).toBe(100)
  })

  it('ends a run, naming the line', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    debug.breakpoint({ function: 'square' }, () => 'end')
    expect(() => sumOfSquares(1)).toThrow(/debugged\.bpf\.c:\d+.*ended by the debugger/)
    debug.close()
    expect(sumOfSquares(1)).toBe(1)
  })

  it('passes on what a handler throws, and the program runs again', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    const breakpoint = debug.breakpoint({ function: 'square' }, () => {
      throw new RangeError('mine')
    })
    expect(() => sumOfSquares(2)).toThrow(RangeError)
    breakpoint.remove()
    expect(sumOfSquares(2)).toBe(5)
  })

  it('traces instructions with their registers, and lines', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    const instructions: string[] = []
    const lines: string[] = []
    using first = debug.traceInstructions(({ text, registers }) => {
      expect(registers).toHaveLength(11)
      instructions.push(text)
    })
    using second = debug.traceLines(({ source, depth }) => void lines.push(`${depth} ${source.text}`))
    sumOfSquares(2)
    expect(instructions.filter((text) => text === 'exit')).toHaveLength(3)
    expect(lines.filter((line) => line === '1 total += product;')).toHaveLength(2)
    first.remove()
    second.remove()
    const before = instructions.length + lines.length
    sumOfSquares(2)
    expect(instructions.length + lines.length).toBe(before)
  })

  it('counts what ran, by instruction and by line, and writes a tracefile', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    const coverage = debug.coverage()
    sumOfSquares(5)
    const hits = (text: string): number | undefined =>
      coverage.lines.find((line) => line.text.includes(text))?.hits
    expect(hits('total += product')).toBe(5)
    expect(hits('total = 0')).toBe(0)
    expect(coverage.hits(0)).toBe(1)
    expect(coverage.executed).toBeGreaterThan(40)
    const lcov = coverage.lcov()
    expect(lcov).toMatch(/^TN:sum_of_squares\nSF:.*debugged\.bpf\.c\n/)
    expect(lcov).toMatch(/^FNDA:5,square$/m)
    expect(lcov).toMatch(/^FNH:2$/m)
    expect(lcov).toContain(`DA:${lineOf(debug, 'total += product')},5\n`)
    expect(lcov.endsWith('end_of_record\n')).toBe(true)
    // `sum > 1000` never holds; the loop goes on and ends. Jumps that never ran were neither taken nor not.
    const branches = coverage.branches.filter(({ taken, notTaken }) => taken + notTaken > 0)
    for (const { insn, taken, notTaken } of branches) {
      expect(taken + notTaken).toBe(coverage.hits(insn))
      expect(lcov).toMatch(new RegExp(`^BRDA:\\d+,${insn},0,${taken}\nBRDA:\\d+,${insn},1,${notTaken}$`, 'm'))
    }
    const limit = branches.filter(({ source }) => source?.line === lineOf(debug, 'if (sum > 1000)'))
    expect(limit.map(({ taken, notTaken }) => [taken + notTaken, taken * notTaken])).toEqual([[1, 0]])
    expect(branches.some(({ taken, notTaken }) => taken > 0 && notTaken > 0)).toBe(true)
    expect(lcov).toContain(`BRF:${2 * coverage.branches.length}\n`)
    coverage.reset()
    expect(coverage.branches.every(({ taken, notTaken }) => taken + notTaken === 0)).toBe(true)
    expect(coverage.executed).toBe(0)
  })

  it('says what there is where there is nothing to stop at', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    const handler = (): void => undefined
    expect(() => debug.breakpoint({ line: 1 }, handler)).toThrow(
      /no instructions for line .*1.*Lines with code: \d+/,
    )
    expect(() => debug.breakpoint({ function: 'sqare' }, handler)).toThrow(/no function 'sqare'.*square/)
    expect(code(() => debug.breakpoint({ insn: 9999 }, handler))).toBe('BAD_VALUE')
    expect(code(() => debug.breakpoint({ insn: 0 }, 5 as never))).toBe('BAD_VALUE')
  })

  it('refuses reads of what is not there, and says why', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    const problems: string[] = []
    debug.breakpoint({ insn: 0 }, (stop) => {
      for (const address of [0n, stop.registers[10] ?? 0n, 1n << 40n])
        try {
          stop.read(address, 8)
        } catch (error) {
          problems.push((error as Error).message)
        }
    })
    sumOfSquares(1)
    expect(problems).toEqual([
      expect.stringContaining('null pointer'),
      expect.stringContaining('out of bounds'),
      expect.stringContaining('not a pointer'),
    ])
  })

  it('is the only one of its program, and of programs of its kernel', () => {
    using debug = kernel.debug(object.program('sum_of_squares'))
    expect(code(() => kernel.debug(object.program('sum_of_squares')))).toBe('EBUSY')
    expect(code(() => createKernel().debug(object.program('sum_of_squares')))).toBe('BAD_VALUE')
    debug.close()
    debug.close()
    expect(code(() => debug.coverage())).toBe('CLOSED')
    using again = kernel.debug(object.program('sum_of_squares'))
    expect(again.instructions.length).toBeGreaterThan(10)
  })

  it('leaves nothing behind', () => {
    const before = createKernel().usedBytes
    const own = createKernel()
    own.tracepoints.define('debug_event', [])
    const loaded = open(objectUrl('test/debugged'), { kernel: own }).load()
    using debug = own.debug(loaded.program('sum_of_squares'))
    debug.coverage()
    loaded.close()
    debug.close()
    expect(own.usedBytes).toBe(before)
  })
})
