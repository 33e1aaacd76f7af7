// `issuers.<name>.bundle`: where a trust domain's bundle comes from, one of three ways.
import { z } from 'zod'
import { httpsUrl } from '../core/settings.js'
import { parseSpiffeId } from './spiffe-id.js'

const spiffeId = z.string().superRefine((text, context) => {
  try {
    parseSpiffeId(text)
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unreadable'
    context.addIssue({ code: 'custom', message: `expected a SPIFFE ID: it ${why}`, continue: false })
  }
})

/** SPIFFE_Workload_Endpoint.md section 4, for a Unix socket: an absolute path and nothing else in the URI. */
const socketUri = z
  .string()
  .regex(/^unix:\/\/\/[^?#\0]+$/, 'expected a Unix socket such as unix:///run/spire/agent.sock')

const shape = z.strictObject(
  {
    file: z.string('expected the path of a trust bundle').min(1).optional(),
    endpoint: httpsUrl.optional(),
    profile: z.enum(['https_web', 'https_spiffe'], 'expected https_web or https_spiffe').optional(),
    endpoint_spiffe_id: spiffeId.optional(),
    ca: z.string().includes('-----BEGIN CERTIFICATE-----', { error: 'expected certificates in PEM form' }).optional(),
    workload_api: socketUri.optional(),
  },
  {
    error: (issue) =>
      issue.code === 'invalid_type' ? 'expected { file }, { endpoint, profile } or { workload_api }' : undefined,
  },
)

/** The `bundle` of a SPIFFE issuer; `ca` is PEM text. */
export const bundleConfig = shape.superRefine(checkBundle)

export type BundleConfig = z.output<typeof bundleConfig>

type Member = keyof BundleConfig

// What each way needs, and what else it may have (SPIFFE_Federation.md section 5.2).
const ways: Readonly<Record<string, { readonly needs: readonly Member[]; readonly may: readonly Member[] }>> = {
  file: { needs: ['file'], may: [] },
  workload_api: { needs: ['workload_api'], may: [] },
  endpoint: { needs: ['endpoint', 'profile'], may: [] },
  https_web: { needs: ['endpoint', 'profile'], may: ['ca'] },
  // The file is the bundle that the first contact is authenticated with (section 5.2.2).
  https_spiffe: { needs: ['endpoint', 'profile', 'endpoint_spiffe_id', 'file'], may: [] },
}

function checkBundle(config: BundleConfig, context: z.RefinementCtx): void {
  const problem = (path: Member[], message: string) => context.addIssue({ code: 'custom', path, message })
  const name = wayOf(config)
  const way = ways[name]
  if (way === undefined) {
    problem([], 'expected one of file, endpoint and workload_api')
    return
  }
  for (const member of way.needs) if (config[member] === undefined) problem([member], `expected with ${name}`)
  for (const member of Object.keys(config) as Member[]) {
    const isKnown = way.needs.includes(member) || way.may.includes(member)
    if (config[member] !== undefined && !isKnown) problem([member], `has no meaning with ${name}`)
  }
  if (config.profile === 'https_spiffe' && config.endpoint?.startsWith('https:') === false) {
    problem(['endpoint'], 'expected https: the server is known by its certificate')
  }
}

function wayOf({ profile, endpoint, workload_api: socket, file }: BundleConfig): string {
  if (endpoint !== undefined || profile !== undefined) return profile ?? 'endpoint'
  if (socket !== undefined) return 'workload_api'
  return file === undefined ? 'none' : 'file'
}
