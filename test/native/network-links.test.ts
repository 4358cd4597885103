/** Every kind of attachment of networks, cgroups and sockets, and struct_ops, through the contract of links. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { afterAll, beforeAll, describe } from 'vitest'
import type { BpfObject } from '../../lib/index.js'
import { TestBpffs } from '../support/bpffs.js'
import { TestCgroup } from '../support/cgroup.js'
import { linkContract, type LinkSubject } from '../support/link-contract.js'
import {
  addNetkit,
  NETKIT_ATTACHMENTS,
  NETWORK_ATTACHMENTS,
  type NetworkAttachment,
  type NetworkScene,
} from '../support/network-attachments.js'
import { missingHere } from '../support/kernel-needs.js'
import { TestNetwork } from '../support/network.js'
import { hits, loadOnly } from '../support/programs.js'
import { describeNative, linuxIsAtLeast } from '../support/require-kernel.js'

let scene: NetworkScene
let bpffs: TestBpffs

describeNative('links', () => {
  beforeAll(async () => {
    bpffs = await TestBpffs.mount()
    const receiver = createSocket('udp4')
    receiver.bind(0, '127.0.0.1')
    await once(receiver, 'listening')
    scene = { network: await TestNetwork.create(), cgroup: new TestCgroup(), receiver }
  })
  afterAll(async () => {
    bpffs[Symbol.dispose]()
    scene.network[Symbol.dispose]()
    scene.receiver.close()
    await scene.cgroup[Symbol.asyncDispose]()
  })

  for (const attachment of NETWORK_ATTACHMENTS) linkContract(subjectOf(attachment), () => bpffs.path)
  describe('of a netkit pair', () => {
    const missing = NETKIT_ATTACHMENTS.some(({ needs }) => missingHere(needs) !== undefined)
    beforeAll(() => (missing ? undefined : addNetkit(scene.network)))
    for (const attachment of NETKIT_ATTACHMENTS) linkContract(subjectOf(attachment), () => bpffs.path)
  })
})

/** A program `on_name` that counts its runs. */
function subjectOf(attachment: NetworkAttachment): LinkSubject {
  const { name, needs, object: file, program, other, type, linkSince = '5.8' } = attachment
  const runsOf = (one: string) => async (object: BpfObject) => {
    const before = hits(object, one)
    await attachment.fire(scene, object)
    return hits(object, one) - before
  }
  const isLink = type !== 'none' && linuxIsAtLeast(linkSince)
  const taken = isLink ? other : undefined
  return {
    name,
    needs,
    type: isLink ? type : 'none',
    load: () => loadOnly(file, ...[program, other].flatMap((one) => (one === undefined ? [] : [`on_${one}`]))),
    attach: (object) => attachment.attach(object.program(`on_${program}`), scene, object),
    fire: runsOf(program),
    attached: (object) => object.program(`on_${program}`),
    ...(taken !== undefined && {
      update: {
        from: (object: BpfObject) => object.program(`on_${program}`),
        to: (object: BpfObject) => object.program(`on_${taken}`),
        fire: runsOf(taken),
      },
    }),
    detaches: isLink,
  }
}
