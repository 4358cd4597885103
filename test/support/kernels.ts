/** The kernels on which a contract test runs: the same text on each. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe } from 'vitest'
import { createKernel, type FallbackOptions } from '../../lib/fallback/index.js'
import type { EngineName } from '../../lib/fallback/vm/types.js'
import type { Kernel } from '../../lib/kernel.js'
import { open } from '../../lib/open.js'
import type { OpenObject } from '../../lib/open-object.js'
import { describeSince, linuxIsAtLeast, SYSCALL_PROGRAMS } from './require-kernel.js'
import { isVirtual } from './this-machine.js'

export interface TestedKernel {
  readonly name: 'native' | 'fallback'
  /** What titles call it. */
  readonly title: string
  /** A kernel for one test. @param options of a simulated one: Linux is as it is */
  make(options?: FallbackOptions): TestKernel
}

export interface TestKernel {
  readonly choice: 'native' | Kernel
  /** Pid of the process whose children `runProcess` starts. */
  readonly root: number
  /** Starts a process that executes `true` and ends. @returns its pid, when it has ended */
  runProcess(): Promise<number>
}

const native: TestedKernel = {
  name: 'native',
  title: 'native',
  make: () => ({
    choice: 'native',
    root: process.pid,
    async runProcess() {
      const child = spawn('true')
      await once(child, 'exit')
      if (child.pid === undefined) throw new Error('true has no pid')
      return child.pid
    },
  }),
}

const fallback = (engine: EngineName): TestedKernel => ({
  name: 'fallback',
  title: `fallback, ${engine}`,
  make(options) {
    const kernel = createKernel({ clock: 'manual', seed: 1, engine, ...options })
    const root = kernel.tasks.spawn({ pid: 50, comm: 'root', filename: '/bin/root', argv: ['root'] })
    return {
      choice: kernel,
      root: root.pid,
      async runProcess() {
        const task = kernel.tasks.spawn({
          comm: 'true',
          filename: '/usr/bin/true',
          argv: ['true'],
          parent: root,
        })
        task.exit(0)
        return task.pid
      },
    }
  },
})

/**
 * None in a virtual machine, where the question is what its kernel does, nor where an addon is named (prebuilt, or with sanitizers, which
 * would search the simulated kernels' memory for leaks): the question is what that one does.
 */
const simulated =
  isVirtual || process.env['LIBBPF_NODE_ADDON'] !== undefined
    ? []
    : [fallback('wasm'), fallback('interpreter')]

/**
 * Declares the tests once for each kernel. Native ones are skipped without privileges, unless REQUIRE_KERNEL=1 makes them fail.
 *
 * @param since the Linux version that the tests need: {@link SYSCALL_PROGRAMS}, if they run programs of the contract object
 */
export function describeContract(title: string, tests: (kernel: TestedKernel) => void, since = '5.8'): void {
  for (const kernel of simulated) describe(`${title} (${kernel.title})`, () => tests(kernel))
  describeSince(since)(`${title} (native)`, () => tests(native))
}

export function objectPath(name: string): URL {
  return new URL(`../../bpf/${name}.bpf.o`, import.meta.url)
}

/** Programs of type `syscall` are left out where Linux has none: tests that run them say `since` {@link SYSCALL_PROGRAMS}. */
export function openContract(kernel: TestKernel): OpenObject {
  const spec = open(objectPath('test/contract'), { kernel: kernel.choice })
  if (kernel.choice === 'native' && !linuxIsAtLeast(SYSCALL_PROGRAMS)) {
    for (const program of Object.values(spec.programs))
      if (program.type === 'syscall') program.autoload = false
  }
  return spec
}
