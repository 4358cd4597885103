/** Branches that are left to be followed: Linux has the error numbers that the verifier here has. In virtual machines alone: some builds crash. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { KernelJudge } from '../support/kernel-judge.js'
import { requires } from '../support/require-kernel.js'
import { FORKS, forking, TOO_MANY } from '../verifier/forks.js'

requires({ since: '6.18', machine: true })('too many branches', () => {
  let judge: KernelJudge
  beforeAll(() => {
    judge = new KernelJudge()
  })
  afterAll(() => judge[Symbol.asyncDispose]())

  const forks = FORKS.filter(({ isNew }) => isNew !== true)

  it.each(forks)('$name', async ({ errno, text }) => {
    const refused = await judge.judge(forking(text, TOO_MANY), { logLevel: 1 })
    expect(refused.errno).toBe(errno)
    expect(refused.log).toContain('The sequence of 8193 jumps is too complex.')
  })
})
