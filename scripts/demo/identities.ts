// Who asks in the demo: issuers with real keys, as SPIRE, GitHub and a company's single sign-on would run them.
import { startOidcIssuer } from '../servers/stand-ins/oidc-issuer.js'
import { createSpiffeDomain } from '../servers/stand-ins/spiffe-domain.js'
import type { Undo } from './undo.js'

export interface Identities {
  readonly ciIssuer: string
  readonly staffIssuer: string
  /** The SPIFFE trust bundle, as JSON text. */
  readonly bundle: string
  /** A JWT-SVID of that path, for Hallpass unless another audience is named. */
  agent(path?: string, audience?: string): Promise<string>
  /** A token of the pipeline's job; each run is an instance of its own. */
  ci(run: string): Promise<string>
  /** The same claims, signed by an issuer that nobody configured. */
  stranger(): Promise<string>
  operator(): Promise<string>
}

export const agentPath = '/agent/ana/coder'

/** Starts them on loopback. `hallpass` is the broker's address: the audience of the workloads' tokens. */
export async function startIdentities(hallpass: string, undo: Undo): Promise<Identities> {
  const [ci, staff, unknown] = await Promise.all([startOidcIssuer(), startOidcIssuer(), startOidcIssuer()])
  for (const issuer of [ci, staff, unknown]) undo.add(() => issuer.stop())
  const spiffe = await createSpiffeDomain('prod.acme.example')
  const ciClaims = (run: string) => ({
    aud: hallpass,
    sub: 'repo:acme/web:ref:refs/heads/main',
    repository: 'acme/web',
    repository_id: '1296269',
    repository_owner_id: '65',
    ref: 'refs/heads/main',
    ref_type: 'branch',
    event_name: 'push',
    run_id: run,
    run_attempt: '1',
  })
  return {
    ciIssuer: ci.issuer,
    staffIssuer: staff.issuer,
    bundle: spiffe.bundle,
    agent: (path = agentPath, audience = hallpass) => spiffe.signJwtSvid(path, audience),
    ci: (run) => ci.sign(ciClaims(run)),
    stranger: () => unknown.sign(ciClaims('1')),
    operator: () => staff.sign({ sub: 'olga', aud: 'hallpass-operators', groups: ['sre'] }),
  }
}
