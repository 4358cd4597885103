import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { patience } from '../support/patience.js'
import { describeSince } from '../support/require-kernel.js'
import { isSanitized, isVirtual } from '../support/this-machine.js'
import { mountTracefs } from '../support/tracefs.js'

const CHILD = fileURLToPath(new URL('readers-child.mjs', import.meta.url))

/** How many one after the other. Each takes an emulated processor ten seconds, and one with sanitizers two. */
const WORKERS = isVirtual ? 4 : isSanitized ? 5 : 20
const WAITERS = isVirtual ? 2 : 5

/** Runs a scenario of readers-child.mjs in a process of its own. `npm test` has built dist/ by now. */
function run(scenario: string, workers = WORKERS, ...more: readonly string[]): Promise<{ readonly code: number | string; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CHILD, scenario, String(workers), ...more], { timeout: patience(60_000) }, (error, stdout) => {
      resolve({ code: error === null ? 0 : (error.signal ?? error.code ?? 'unknown'), output: stdout.trim() })
    })
  })
}

/** User ring buffers: Linux 6.1. */
const describeNative = describeSince('6.1')

describeNative('perf buffers, user rings, and several rings on one reader', { timeout: patience(70_000) }, () => {
  it('end with their workers, which are terminated in mid-stream', async () => {
    expect(await run('terminate')).toEqual({
      code: 0,
      output: `${WORKERS} links were attached, 0 maps, programs and links are left`,
    })
  })

  it('end with workers that wait for room', async () => {
    expect(await run('terminateWaiting', WAITERS)).toEqual({
      code: 0,
      output: `${WAITERS} waited, 0 maps, programs and links are left`,
    })
  })

  it('end with the process, by process.exit() and by an exception that nobody catches', async () => {
    expect((await run('exit')).code).toBe(7)
    expect((await run('uncaught')).code).toBe(1)
  })

  it('let the process end after unref(), as all kinds of readers do', async () => {
    const tracefs = await mountTracefs()
    try {
      expect(await run('unref', 0, tracefs.path)).toEqual({ code: 0, output: '' })
    } finally {
      await tracefs.close()
    }
  })

  it('sleep while nothing comes', async () => {
    expect(await run('idle')).toEqual({ code: 0, output: 'asleep' })
  })

  it('leave no file descriptor behind', async () => {
    expect(await run('descriptors')).toEqual({ code: 0, output: '0' })
  })
})
