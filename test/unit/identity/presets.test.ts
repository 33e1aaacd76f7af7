import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { createManualClock, createPool, ourIssuer, readFixture, refusalText } from './identity-fixtures.js'

const clock = createManualClock()
let server: OidcIssuer
beforeAll(async () => {
  server = await startOidcIssuer({ clock, algorithms: ['RS256'] })
})
afterAll(() => server.stop())

/** A real issuer's claims, signed by the stand-in for us and now. */
function signReal(claims: Record<string, unknown>, over: object = {}): Promise<string> {
  const { iss: _iss, iat: _iat, exp: _exp, nbf: _nbf, ...rest } = claims
  return server.sign({ ...rest, aud: ourIssuer, ...over })
}

describe('the GitHub Actions preset', () => {
  const { claims } = JSON.parse(readFixture('claims/github-actions.json'))
  const { variants } = JSON.parse(readFixture('claims/github-actions-variants.json'))
  const pool = (extra: object = {}) =>
    createPool({ github: { type: 'oidc', preset: 'github-actions', issuer: server.issuer, ...extra } }, { clock })

  test('names the repository by its id as account, and the attempt of a run as instance', async () => {
    expect(await pool().authenticate(await signReal(claims))).toMatchObject({
      id: 'github:repo:octo-org/octo-repo:environment:prod',
      account: 'github:74',
      instance: 'github:74/example-run-id/2',
      attributes: {
        repository_id: '74',
        repository_owner_id: '65',
        repository: 'octo-org/octo-repo',
        ref: 'refs/heads/main',
        ref_type: 'branch',
        event_name: 'workflow_dispatch',
        environment: 'prod',
        job_workflow_ref: 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main',
        runner_environment: 'github-hosted',
        run_id: 'example-run-id',
        run_attempt: '2',
        sha: 'example-sha',
        actor_id: '12',
      },
    })
  })

  test('has the repository in lower case, since its issuer compares it so', async () => {
    const { attributes } = await pool().authenticate(await signReal(claims, { repository: 'Acme/Web' }))
    expect(attributes.repository).toBe('acme/web')
  })

  test('sees a name registered again by others as another account', async () => {
    const principal = await pool().authenticate(await signReal(claims, { repository_id: '999' }))
    expect(principal).toMatchObject({ id: 'github:repo:octo-org/octo-repo:environment:prod', account: 'github:999' })
    const { authenticate } = pool({ require: { repository_owner_id: '65' } })
    const recycled = await signReal(claims, { repository_owner_id: '4242' })
    expect(await refusalText(() => authenticate(recycled), recycled)).toMatch(/"repository_owner_id" is "4242"/)
  })

  test('refuses a token that does not say which run it is', async () => {
    const token = await signReal(claims, { run_attempt: undefined })
    expect(await refusalText(() => pool().authenticate(token), token)).toMatch(/gives no "run_attempt"/)
    const numeric = await signReal(claims, { repository_id: 74 })
    expect(await refusalText(() => pool().authenticate(numeric), numeric)).toMatch(/gives no "repository_id"/)
  })

  test('is overridden by what stands beside it', async () => {
    const own = { attributes: { workflow: { claim: 'workflow', type: 'string' } }, account: ['repository_owner_id'] }
    const principal = await pool(own).authenticate(await signReal(claims))
    expect(principal).toMatchObject({
      account: 'github:65',
      attributes: { workflow: 'example-workflow', sha: 'example-sha' },
    })
  })

  test('takes every form of token that GitHub makes, one account per repository', async () => {
    const { authenticate } = pool()
    let seen = 0
    for (const { claims: variant } of variants) {
      if (variant?.repository_id === undefined || variant.run_attempt === undefined || variant.run_id === undefined)
        continue
      const principal = await authenticate(await signReal(variant))
      expect(principal.account).toBe(`github:${variant.repository_id}`)
      seen += 1
    }
    expect(seen).toBeGreaterThan(10)
  })
})

describe('the Kubernetes preset', () => {
  const { claims, variants } = JSON.parse(readFixture('claims/kubernetes-sa.json'))
  const pool = () => createPool({ cluster: { type: 'oidc', preset: 'kubernetes', issuer: server.issuer } }, { clock })

  test('names the service account as account and the pod as instance', async () => {
    expect(await pool().authenticate(await signReal(claims))).toMatchObject({
      id: 'cluster:system:serviceaccount:kube-system:coredns',
      account: 'cluster:kube-system/coredns',
      instance: 'cluster:778a530c-b3f4-47c0-9cd5-ab018fb64f33',
      attributes: {
        kubernetes_namespace: 'kube-system',
        kubernetes_service_account: 'coredns',
        kubernetes_pod_uid: '778a530c-b3f4-47c0-9cd5-ab018fb64f33',
      },
    })
  })

  test('refuses tokens for the API server, which every pod has and every service sees', async () => {
    for (const { aud } of [claims, variants[1].claims]) {
      const token = await signReal(claims, { aud })
      expect(await refusalText(() => pool().authenticate(token), token)).toMatch(
        /is for audience \["https:\/\/kubernetes/,
      )
    }
  })

  test('refuses legacy tokens, whose claims are flat', async () => {
    const legacy = variants.find((variant: { name: string }) => variant.name === 'legacy-secret-token').claims
    const token = await signReal(legacy)
    expect(await refusalText(() => pool().authenticate(token), token)).toMatch(/gives no "kubernetes_namespace"/)
  })
})
