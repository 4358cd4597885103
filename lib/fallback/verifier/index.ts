/** The verifier's public face: programs in, verdicts out. */
export type {
  FunctionArgument,
  FunctionInfo,
  MapReference,
  SpecialField,
  VerifierMap,
  VerifierProgram,
} from './program.js'
export { KernelTypes } from './kernel-types.js'
export { fromRaw, type RawProgram } from './raw-program.js'
export { UNMODELLED, verifyProgram, type Verdict, type VerifyOptions } from './verify.js'
