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

interface WebAssemblyApi {
  readonly Memory: new (descriptor: { readonly initial: number; readonly maximum: number }) => WasmMemory
}

/** Makes a memory; sizes are pages of 64 KiB. */
export function createWasmMemory(initial: number, maximum: number): WasmMemory {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }
  return new WebAssembly.Memory({ initial, maximum })
}
