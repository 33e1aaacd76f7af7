import { describe, expect, test } from '@jest/globals'
import { issuersConfig } from '../../../src/identity/issuer-config.js'

const endpoint = 'https://bundle.acme.example/'
const id = 'spiffe://prod.acme.example/spire/server'
const spiffeProfile = { endpoint, profile: 'https_spiffe', endpoint_spiffe_id: id, file: 'first.json' }
const ca = '-----BEGIN CERTIFICATE-----\n'
const parse = (bundle: unknown) =>
  issuersConfig.safeParse({
    a: { type: 'spiffe', trust_domain: 'prod.acme.example', ...(bundle === undefined ? {} : { bundle }) },
  })

test.each([
  { file: 'bundle.json' },
  { endpoint, profile: 'https_web' },
  { endpoint, profile: 'https_web', ca },
  { endpoint: 'http://127.0.0.1:8443/bundle', profile: 'https_web' },
  spiffeProfile,
  { workload_api: 'unix:///run/spire/agent.sock' },
])('a bundle of %j is taken as it is written', (bundle) => {
  expect(parse(bundle)).toMatchObject({ success: true, data: { a: { bundle } } })
})

describe('a bundle', () => {
  const { file: _, ...withoutFile } = spiffeProfile
  const { endpoint_spiffe_id: __, ...withoutId } = spiffeProfile
  test.each<[string, unknown, RegExp]>([
    ['missing', undefined, /^a\.bundle: expected \{ file \}, \{ endpoint, profile \} or \{ workload_api \}$/],
    ['as a text', 'bundle.json', /^a\.bundle: expected \{ file \}/],
    ['of nothing', {}, /^a\.bundle: expected one of file, endpoint and workload_api$/],
    ['of a CA alone', { ca }, /^a\.bundle: expected one of/],
    ['of an empty path', { file: '' }, /^a\.bundle\.file/],
    [
      'from two places',
      { file: 'x', workload_api: 'unix:///x' },
      /^a\.bundle\.file: has no meaning with workload_api$/,
    ],
    ['of an unknown member', { file: 'x', url: 'y' }, /^a\.bundle: .*url/],
    ['at an endpoint without a profile', { endpoint }, /^a\.bundle\.profile: expected with endpoint$/],
    ['of a profile without an endpoint', { profile: 'https_web' }, /^a\.bundle\.endpoint: expected with https_web$/],
    ['of an unknown profile', { endpoint, profile: 'web' }, /^a\.bundle\.profile: expected https_web or https_spiffe/],
    [
      'over plain http',
      { endpoint: 'http://bundle.acme.example', profile: 'https_web' },
      /^a\.bundle\.endpoint: expected an https/,
    ],
    [
      'over https_web with an ID',
      { ...withoutFile, profile: 'https_web' },
      /^a\.bundle\.endpoint_spiffe_id: has no meaning/,
    ],
    ['over https_web with a file', { endpoint, profile: 'https_web', file: 'x' }, /^a\.bundle\.file: has no meaning/],
    ['over https_spiffe without a first bundle', withoutFile, /^a\.bundle\.file: expected with https_spiffe$/],
    ['over https_spiffe without an ID', withoutId, /^a\.bundle\.endpoint_spiffe_id: expected with https_spiffe$/],
    ['over https_spiffe with a CA', { ...spiffeProfile, ca }, /^a\.bundle\.ca: has no meaning with https_spiffe$/],
    [
      'over https_spiffe without TLS',
      { ...spiffeProfile, endpoint: 'http://127.0.0.1:1/' },
      /^a\.bundle\.endpoint: expected https/,
    ],
    [
      'from a server that is no SPIFFE ID',
      { ...spiffeProfile, endpoint_spiffe_id: 'x' },
      /endpoint_spiffe_id: expected a SPIFFE ID: it does not start/,
    ],
    [
      'from a server elsewhere',
      { ...spiffeProfile, endpoint_spiffe_id: 'spiffe://prod.acme.example.evil/x' },
      /endpoint_spiffe_id: expected a SPIFFE ID with a path in trust domain/,
    ],
    [
      'from a trust domain',
      { ...spiffeProfile, endpoint_spiffe_id: 'spiffe://prod.acme.example' },
      /endpoint_spiffe_id: expected a SPIFFE ID with a path/,
    ],
    [
      'with a CA that is none',
      { endpoint, profile: 'https_web', ca: 'ca.pem' },
      /^a\.bundle\.ca: expected certificates in PEM form/,
    ],
    ...[
      '/run/agent.sock',
      'unix:run/agent.sock',
      'unix://host/agent.sock',
      'unix:///',
      'unix:///a?b',
      'unix:///a#b',
      'tcp://127.0.0.1:1',
    ].map((socket): [string, unknown, RegExp] => [
      `of the socket ${socket}`,
      { workload_api: socket },
      /^a\.bundle\.workload_api: expected a Unix socket/,
    ]),
  ])('%s is refused where it stands', (_what, bundle, expected) => {
    const { error } = parse(bundle)
    expect(error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n')).toMatch(expected)
  })
})
