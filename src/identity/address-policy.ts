// Which addresses a fetch of keys may reach. Checked on what a name resolved to, and the connection is then made to
// exactly that address: a name that changes between check and use (DNS rebinding) gains nothing.
import { lookup as resolveName } from 'node:dns/promises'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** `public` alone; also `loopback`, where the operator wrote a loopback URL; or `any`, by `allow_private_addresses`. */
export type AddressPolicy = 'public' | 'loopback' | 'any'

interface ResolvedAddress {
  readonly address: string
  readonly family: number
}
export type ResolveHost = (hostname: string) => Promise<readonly ResolvedAddress[]>

export const resolveBySystem: ResolveHost = (hostname) => resolveName(hostname, { all: true })

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

// IANA special-purpose registries (RFC 6890): private, link-local (cloud metadata), shared, test, multicast, reserved.
const special4 = new BlockList()
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  // Azure's metadata and agent service, on every virtual machine there.
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  special4.addSubnet(net, prefix, 'ipv4')
}
// Of IPv6 only global unicast is public, less the ranges that carry an IPv4 address inside (Teredo, 6to4) or are examples.
const global6 = new BlockList()
global6.addSubnet('2000::', 3, 'ipv6')
const special6 = new BlockList()
special6.addSubnet('2001::', 23, 'ipv6')
special6.addSubnet('2001:db8::', 32, 'ipv6')
special6.addSubnet('2002::', 16, 'ipv6')
special6.addSubnet('3fff::', 20, 'ipv6')

/** Whether a connection to this IP address is allowed. Text that is no IP address never is. */
export function isAllowedAddress(address: string, policy: AddressPolicy): boolean {
  const version = isIP(address)
  if (version === 0) return false
  if (policy === 'any') return true
  const family = version === 4 ? 'ipv4' : 'ipv6'
  if (policy === 'loopback' && loopback.check(address, family)) return true
  return version === 4
    ? !special4.check(address, family)
    : global6.check(address, family) && !special6.check(address, family)
}

/** A lookup for `http.request` that answers only allowed addresses, and an error when a name has any other. */
export function createPinnedLookup(policy: AddressPolicy, resolveHost: ResolveHost): LookupFunction {
  return (hostname, options, callback) => {
    resolveHost(hostname).then(
      (addresses) => {
        const [first] = addresses
        if (first === undefined || !addresses.every(({ address }) => isAllowedAddress(address, policy))) {
          callback(new Error(`${hostname} resolves to an address that is not public (allow_private_addresses)`), '')
        } else if (options.all) callback(null, [...addresses])
        else callback(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    )
  }
}
