import { BlockList, isIP, type Socket } from 'node:net'
import { createAddressPolicy, type AddressPolicyOptions } from '../../src/delivery/address-policy.ts'
import type { Address } from '../../src/delivery/open-socket.ts'
import { closed } from './receivers.ts'

export type Policy = AddressPolicyOptions['policy']

/** As `dns.lookup` gives them. */
export const answers = (...addresses: string[]) =>
  addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
export const resolvesTo =
  (...addresses: string[]) =>
  () =>
    Promise.resolve(answers(...addresses))

const thisMachine = new BlockList()
thisMachine.addSubnet('127.0.0.0', 8)
thisMachine.addAddress('0.0.0.0')
thisMachine.addAddress('::1', 'ipv6')
thisMachine.addAddress('::', 'ipv6')
/** Whether a socket to it stays on this machine: loopback, and the unspecified address. */
export const staysHere = (ip: string) => thisMachine.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4')

/** The policy as service.ts gives it to the sender; where it lets through what it should not, nothing leaves. */
export function guard(policy: Policy, { allow = [], deny = [] }: { allow?: string[]; deny?: string[] } = {}) {
  const { check } = createAddressPolicy({ policy, allow, deny })
  return ({ ip }: Address) => check(ip) ?? (staysHere(ip) ? null : 'LET THROUGH')
}

/** Closes connections at the receiver's end. */
export async function closeAll(sockets: Socket[]): Promise<void> {
  for (const socket of sockets) socket.destroy()
  await Promise.all(sockets.map((socket) => closed(socket)))
}
