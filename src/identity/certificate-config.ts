// The `proxy:` section of the configuration: who before us may say which client certificate it has seen.
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'
import { Secret } from '../core/secret.js'

const headerName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,63}$/, 'expected the name of a header in lower case')
  .refine(
    (name) =>
      !['authorization', 'dpop', 'host', 'hallpass-task-token', 'content-type', 'content-length'].includes(name),
    'expected a header that means nothing else',
  )

const network = z.string().refine(isNetwork, 'expected a network such as 10.0.0.0/8 or an address')

export const proxyConfig = z
  .strictObject({
    certificate_header: headerName,
    /** `pem`: URL-encoded PEM, the leaf first (nginx, Envoy). `rfc9440`: `:base64:`, the rest of the chain in `<header>-chain`. */
    format: z.enum(['pem', 'rfc9440'], 'expected pem or rfc9440').default('pem'),
    secret_header: headerName.default('hallpass-proxy-secret'),
    secret: z
      .string()
      .regex(/^[\x21-\x7e]{32,512}$/, 'expected 32 to 512 visible characters')
      .transform((text) => new Secret(text)),
    from: z.array(network).min(1, 'expected at least one network').optional(),
  })
  .refine((config) => config.secret_header !== config.certificate_header, 'expected two different headers')

/** What a proxy has to show before its header counts. */
export interface ProxyRules {
  readonly certificateHeader: string
  readonly format: 'pem' | 'rfc9440'
  readonly secretHeader: string
  readonly secret: Secret
  /** Whether a proxy may stand at this address. */
  isFrom(address: string): boolean
}

/** Which proxy is believed about client certificates, and how it says what it saw. */
export function createProxyRules(config: z.output<typeof proxyConfig>): ProxyRules {
  const networks = config.from === undefined ? null : blockListOf(config.from)
  return {
    certificateHeader: config.certificate_header,
    format: config.format,
    secretHeader: config.secret_header,
    secret: config.secret,
    isFrom(address) {
      if (networks === null) return true
      // A socket that takes both families names IPv4 peers as IPv6 (RFC 4291 section 2.5.5.2).
      const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
      return networks.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6')
    },
  }
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const most = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1
  return most > 0 && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most))
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of networks) {
    const [address = '', bits] = text.split('/')
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
