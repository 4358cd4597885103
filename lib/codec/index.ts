/** BTF type → functions that decode and encode its values. */
export { createCodec } from './codec.js'
export {
  eachStruct,
  type ArrayLayout,
  type BitsLayout,
  type BoolLayout,
  type BytesLayout,
  type Field,
  type FloatLayout,
  type IntLayout,
  type IntSize,
  type Layout,
  type StringLayout,
  type StructLayout,
} from './layout.js'
export { LAYOUT_LIMITS, planLayout } from './plan.js'
export type { Codec, CodecOptions, Int64Style, Value } from './types.js'
