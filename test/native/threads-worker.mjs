/** What other threads do in threads.test.ts. It runs the built library: workers must not depend on a TypeScript loader. */
import { parentPort, workerData } from 'node:worker_threads'
import { mapById, TracePipe } from '../../dist/lib/index.js'

const tasks = {
  /** Answers `open`, or the error's code and hint. */
  read({ id }) {
    const map = mapById(id, { kernel: 'native' })
    try {
      map.ringBuffer().close()
      return 'open'
    } catch (error) {
      return `${error.code}: ${error.hint}`
    } finally {
      map.close()
    }
  },
  /** Reads until it is terminated. */
  hold({ id }) {
    mapById(id, { kernel: 'native' })
      .ringBuffer()
      .on('event', () => {})
    return 'open'
  },
  trace({ tracefs, instance }) {
    new TracePipe({ kernel: 'native', tracefs, instance }).on('event', () => {})
    return 'open'
  },
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
parentPort.postMessage(tasks[workerData.task](workerData))
