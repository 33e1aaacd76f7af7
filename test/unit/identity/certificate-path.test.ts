// The edges of a certificate path: the last moment, keys that are rolled, purposes and names that are just allowed, and just not.
import { X509Certificate } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { type Certificate, parseCertificate } from '../../../src/identity/certificate.js'
import { verifyPath } from '../../../src/identity/certificate-path.js'
import { presentCertificate, verifySvid } from '../../../src/identity/x509-svid.js'
import {
  clientAuth,
  type Issued,
  issue,
  issueAuthority,
  type Shape,
  serverAuth,
  uriName,
} from '../../support/certificate-authority.js'
import { createManualClock, refusalText } from './identity-fixtures.js'

const domain = 'prod.acme.example'
const second = Math.floor(Date.now() / 1000) * 1000
const root = issueAuthority(null, domain)
const leaf = (shape: Shape = {}, signer: Issued = root) =>
  issue(signer, { uris: [`spiffe://${domain}/ns/ci/sa/deployer`], ...shape })
const over = (shape: Shape) => {
  const middle = issueAuthority(root, domain, shape)
  return [leaf({}, middle), middle]
}
const verify = (chain: readonly Issued[], authorities: readonly Issued[] = [root]) => {
  const [first, ...others] = chain.map(({ der }) => parseCertificate(der))
  return verifyPath([first as Certificate, ...others], {
    trustDomain: domain,
    authorities: authorities.map(({ der }) => new X509Certificate(der)),
    now: second,
  })
}

describe('a path is taken', () => {
  test.each<[string, () => Issued[]]>([
    ['in the first moment of its time', () => [leaf({ notBefore: second })]],
    ['in the last moment of its time', () => [leaf({ notAfter: second })]],
    ['over one in the first and the last moment of its own', () => over({ notBefore: second, notAfter: second })],
    ['over one for clients among others', () => over({ purposes: [serverAuth, clientAuth] })],
    ['over one for any purpose', () => over({ purposes: ['2.5.29.37.0'] })],
    ['over names in other letters', () => over({ permitted: [uriName('.ACME.Example')] })],
    ['over one of several names', () => over({ permitted: [uriName('a.example'), uriName(domain)] })],
    ['over a constraint of every name', () => over({ permitted: [uriName('')] })],
    [
      'over a key that was rolled: one that signs itself is not counted',
      () => {
        const old = issueAuthority(root, domain, { pathLength: 0, name: 'rolled' })
        const rolled = issueAuthority(old, domain, { name: 'rolled' })
        return [leaf({}, rolled), rolled, old]
      },
    ],
    [
      'over as many as are sent',
      () => {
        const middles: Issued[] = []
        for (let i = 0; i < 6; i++) middles.unshift(issueAuthority(middles[0] ?? root, domain))
        return [leaf({}, middles[0]), ...middles]
      },
    ],
  ])('%s', (_, make) => {
    expect(() => verify(make())).not.toThrow()
  })
})

describe('a path is not taken', () => {
  test.each<[string, () => Issued[], RegExp]>([
    ['a second before its time', () => [leaf({ notBefore: second + 1000 })], /not valid yet/],
    ['over one a second before its time', () => over({ notBefore: second + 1000 }), /not valid yet/],
    [
      'over one that names its trust domain twice',
      () => over({ uris: Array(2).fill(`spiffe://${domain}`) }),
      /another/,
    ],
    ['below a host that allows itself alone', () => over({ permitted: [uriName('acme.example')] }), /does not allow/],
    ['over one that allows no name', () => over({ excluded: [uriName('')] }), /does not allow/],
    [
      'over one of several names that are excluded',
      () => over({ excluded: [uriName('a.example'), uriName(domain)] }),
      /does not allow/,
    ],
    [
      'over one that is not rolled but another',
      () => {
        const old = issueAuthority(root, domain, { pathLength: 0 })
        const next = issueAuthority(old, domain)
        return [leaf({}, next), next, old]
      },
      /over more authorities than/,
    ],
  ])('%s', (_, make, why) => {
    expect(() => verify(make())).toThrow(why)
  })
})

test("a workload of one trust domain is none of another's, whoever is trusted there", async () => {
  const bundle = {
    current: async () => ({ x509Authorities: [new X509Certificate(root.der)] }) as never,
  }
  const svid = presentCertificate(leaf().der, [])
  const clock = createManualClock(second)
  await verifySvid(svid, { trustDomain: domain, bundle }, clock)
  const shown = await refusalText(() => verifySvid(svid, { trustDomain: 'staging.acme.example', bundle }, clock))
  expect(shown).toMatch(/^invalid_token .*not of trust domain staging.acme.example/)
})
