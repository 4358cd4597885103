/** Simulated kernel objects: values by field name, which a layout turns into bytes for each program's target BTF. */

/**
 * A value of a field.
 *
 * Pointers: another {@link KernelStruct}, `null`, a string (a NUL-terminated text somewhere in kernel memory), or a number or bigint for
 * the address itself. Structs: an object by member; a bare number stands for the first member, as in `kuid_t { val }`.
 */
export type FieldValue =
  number | bigint | boolean | string | null | Uint8Array | KernelStruct | readonly FieldValue[] | FieldValues

/**
 * Values by the kernel's member names; those that aren't given are zero. Members that Linux has and a target lacks are left out; one that
 * neither is known to have is refused, where a test made the object.
 */
export interface FieldValues {
  readonly [member: string]: FieldValue
}

/** Counts changes to the objects of one kernel, so that layouts see at a glance that nothing changed. */
export interface ChangeCounter {
  value: number
}

/** One object of the simulated kernel: a task, a set of credentials, the arguments of an exec. */
export class KernelStruct {
  #fields: FieldValues
  #version: number

  /**
   * @param type name of the struct: `task_struct`
   * @param origin what the simulation fills in is right; what a test does may have a wrong name
   */
  constructor(
    readonly type: string,
    fields: FieldValues,
    readonly changes: ChangeCounter,
    readonly origin: 'simulation' | 'test' = 'simulation',
  ) {
    this.#fields = fields
    this.#version = ++changes.value
  }

  get fields(): FieldValues {
    return this.#fields
  }

  /** Grows with each change. */
  get version(): number {
    return this.#version
  }

  /** Changes some fields; the others stay. */
  set(fields: FieldValues): void {
    this.#fields = { ...this.#fields, ...fields }
    this.#version = ++this.changes.value
  }
}
