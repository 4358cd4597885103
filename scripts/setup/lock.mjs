/** One set-up at a time in a checkout: a lock file that a crashed owner doesn't hold for ever. */
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cacheFolder, stat } from './project.mjs'
import { say } from './run.mjs'

const lockFile = join(cacheFolder, 'setup.lock')
const stealFile = join(cacheFolder, 'setup.lock.steal')
const refreshMs = 2_000
/** An owner refreshes the file's time; one that hasn't for so long is gone (or another machine's). */
const staleMs = 30_000
const pollMs = 150

/** Creates a file that must not exist yet. */
function create(path, text) {
  try {
    writeFileSync(path, text, { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

function ownerPid() {
  try {
    return Number.parseInt(readFileSync(lockFile, 'utf8'), 10)
  } catch {
    return Number.NaN
  }
}

/** Whether the lock's owner is gone. A lock that has just vanished isn't stale: it is free. */
function isStale() {
  const found = stat(lockFile)
  if (found === undefined) return false
  if (Date.now() - found.mtimeMs > staleMs) return true
  const pid = ownerPid()
  if (!Number.isInteger(pid)) return false
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

/**
 * Removes a stale lock, and answers whether it did. Under a lock of its own: else of two thieves the second would take the first
 * one's fresh lock.
 */
function stealIfStale() {
  if (!isStale()) return false
  if (!create(stealFile, String(process.pid))) {
    const found = stat(stealFile)
    if (found !== undefined && Date.now() - found.mtimeMs > staleMs) rmSync(stealFile, { force: true })
    return false
  }
  try {
    if (!isStale()) return false
    rmSync(lockFile, { force: true })
    return true
  } finally {
    rmSync(stealFile, { force: true })
  }
}

/**
 * Runs `work` while no other process does. Waits for as long as the other one lives.
 *
 * @param work may be interrupted by a signal: the lock is released then too
 */
export async function withLock(work) {
  mkdirSync(cacheFolder, { recursive: true })
  let told = false
  while (!create(lockFile, String(process.pid))) {
    if (stealIfStale()) continue
    const owner = ownerPid()
    if (!told && Number.isInteger(owner)) {
      say(`waiting for another set-up in this folder (process ${owner})`)
      told = true
    }
    await sleep(pollMs)
  }
  const refresh = setInterval(() => {
    try {
      utimesSync(lockFile, new Date(), new Date())
    } catch {
      // Someone deleted .cache: nothing is left to keep fresh.
    }
  }, refreshMs)
  const release = () => {
    if (ownerPid() === process.pid) rmSync(lockFile, { force: true })
  }
  const interrupted = (signal) => {
    release()
    process.removeListener('SIGINT', interrupted)
    process.removeListener('SIGTERM', interrupted)
    process.kill(process.pid, signal)
  }
  process.on('SIGINT', interrupted)
  process.on('SIGTERM', interrupted)
  process.on('exit', release)
  try {
    return await work()
  } finally {
    clearInterval(refresh)
    release()
    process.removeListener('SIGINT', interrupted)
    process.removeListener('SIGTERM', interrupted)
    process.removeListener('exit', release)
  }
}
