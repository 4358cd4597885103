/** What a caller says of a task: who it is, how it ends. */
import type { FieldValues } from './kernel-struct.js'

/** How a process ends: with a code (0…255), or by a signal. */
export type Exit = number | { readonly signal: number; readonly core?: boolean }

/** Credentials and names that a fork hands on, unless told otherwise. */
export interface TaskIdentity {
  readonly comm?: string
  readonly uid?: number
  readonly gid?: number
  /** Values for any other members of `struct task_struct`, by name. They win over what the simulation sets. */
  readonly fields?: FieldValues
}
