/**
 * Tracing instances: folders of tracefs, each with buffers of its own. Unlike links and maps they outlive the process that made them, so
 * this one removes them whichever way it ends, save by SIGKILL or a crash; what such an end left, the next process removes.
 */
import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { threadId } from 'node:worker_threads'

/** Signals that end a process unless it listens to them. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** Name of an instance that {@link ownName} made. */
const OWN_NAME = /^libbpf-node-(\d+)-\d+-\d+$/

let count = 0
/** What this thread has to do before the process ends. */
const endings = new Set<() => void>()

/** A name that no other reader has: of this process, thread and reader. */
export function ownName(): string {
  return `libbpf-node-${process.pid}-${threadId}-${++count}`
}

/** @returns whether it wasn't there before: whose it is to remove */
export function makeInstance(folder: string): boolean {
  try {
    mkdirSync(folder)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

/** Removes what processes left that are gone: an instance with a reader can't be removed, so a mistake about pids does no harm. */
export function removeAbandoned(tracefs: string): void {
  const instances = `${tracefs}/instances`
  for (const name of attempt(() => readdirSync(instances)) ?? []) {
    const pid = OWN_NAME.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) attempt(() => rmdirSync(`${instances}/${name}`))
  }
}

/** Who may not read the folder is told so by what comes next; an instance may be in use in another pid namespace, or gone just now. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch {
    return undefined
  }
}

/** Calls `action` if the process ends: by itself, by an exception that nobody catches, or by a signal. @returns what takes that back */
export function beforeEnd(action: () => void): () => void {
  if (endings.size === 0) {
    process.once('exit', runEndings)
    for (const signal of SIGNALS) process.on(signal, onSignal)
  }
  endings.add(action)
  return () => {
    if (endings.delete(action) && endings.size === 0) stopListening()
  }
}

function stopListening(): void {
  process.removeListener('exit', runEndings)
  for (const signal of SIGNALS) process.removeListener(signal, onSignal)
}

function runEndings(): void {
  for (const action of endings) action()
}

/** A signal that nobody else listens to ends the process, as it would have without us. Who listens decides for themselves. */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return
  runEndings()
  stopListening()
  process.kill(process.pid, signal)
}
