/** The rules of the instruction set that interpreter.test.ts states, on the compiler. */
import { useEngine } from '../support/run-bpf.js'

useEngine('wasm')
await import('./interpreter.test.js')
