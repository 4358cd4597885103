/** Names in CO-RE: what stands behind three underscores tells flavours of one type apart, and doesn't count. */

const SEPARATOR = '___'

/** `task_struct` for `task_struct___old`; the name itself where it has no flavour. The underscores are exactly three. */
export function essentialName(name: string): string {
  for (let at = name.length - 4; at > 0; at--) {
    if (name.startsWith(SEPARATOR, at) && name[at - 1] !== '_' && name[at + 3] !== '_')
      return name.slice(0, at)
  }
  return name
}
