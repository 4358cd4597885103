/**
 * The part of the WebAssembly API that the fallback uses. It is standard and everywhere, but its types come with the
 * DOM library only, which a Node project doesn't load.
 */

/** A `WebAssembly.Memory`. */
export interface WasmMemory {
  /** The current buffer; an earlier one is detached by `grow`. */
  readonly buffer: ArrayBuffer
  /** Adds pages of 64 KiB. Throws RangeError where that fails. */
  grow(pages: number): number
}

/** A `WebAssembly.Module`: compiled code. */
export type WasmModule = object

/** A function that goes into or out of a module. All parameters are i32 here: BigInt would be slow. */
// The parameters of imports and exports are known to the module alone.
export type WasmFunction = (...args: number[]) => number | void

export type WasmExports = Readonly<Record<string, WasmFunction>>
export type WasmImports = Readonly<Record<string, Readonly<Record<string, WasmFunction | WasmMemory>>>>

interface WebAssemblyApi {
  readonly Memory: new (descriptor: { readonly initial: number; readonly maximum: number }) => WasmMemory
  readonly Module: new (bytes: Uint8Array) => WasmModule
  readonly Instance: new (module: WasmModule, imports: WasmImports) => { readonly exports: WasmExports }
  readonly RuntimeError: new () => Error
}

function api(): WebAssemblyApi {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }
  return WebAssembly
}

/** Makes a memory; sizes are pages of 64 KiB. */
export function createWasmMemory(initial: number, maximum: number): WasmMemory {
  return new (api().Memory)({ initial, maximum })
}

/** Compiles a module. Throws `WebAssembly.CompileError` for a module that is invalid or larger than the host allows. */
export function compileWasm(bytes: Uint8Array): WasmModule {
  return new (api().Module)(bytes)
}

/** @returns what the module exports */
export function instantiateWasm(module: WasmModule, imports: WasmImports): WasmExports {
  return new (api().Instance)(module, imports).exports
}

/** Whether an error is a trap of WebAssembly's own: an access outside of the memory. */
export function isWasmTrap(error: unknown): error is Error {
  return error instanceof api().RuntimeError
}

/** The smallest module: the magic number and the version. */
const EMPTY_MODULE = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00)
let compilable: boolean | undefined

/** Whether modules may be compiled here: a page's Content-Security-Policy or a host's flags can forbid it. */
export function canCompileWasm(): boolean {
  if (compilable === undefined) {
    try {
      compileWasm(EMPTY_MODULE)
      compilable = true
    } catch {
      compilable = false
    }
  }
  return compilable
}
