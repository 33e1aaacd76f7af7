// Who may import whom: ranks, cycles, and one home per library. `npm run arch` holds it.
const nouns = ['identity', 'policy', 'grants', 'providers', 'signing', 'ledger', 'audit', 'queue']
const folder = (...names) => `^src/(${names.join('|')})/`
// What one noun may know of another: the entity in a signature, by its type. Biome's useImportType keeps these free of code.
const entities =
  '^src/(identity/principal|policy/decision|grants/grant|providers/provider|ledger/(lease|task|ledger|connection)|audit/record|signing/keyset)\\.ts$'
const tops = '^src/(compose/.*|version)\\.ts$'

/** Files in `from` may import, of ours, only from `allowed`. */
const rank = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { path: '^(src|scripts|test)/', pathNot: allowed },
})

/** `library` may be imported in these places alone. */
const home = (library, places) => ({
  name: `home-of-${library.replace(/[^a-z]+/gi, '-')}`,
  comment: `${library} has one home: what is known of it stays there`,
  severity: 'error',
  from: { path: '^src/', pathNot: places },
  to: { path: `node_modules/${library}/` },
})

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'resolvable',
      comment: 'the plain JavaScript of scripts/ runs what it has just built: dist need not be there yet',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^(\\.\\./)*dist/' },
    },
    {
      name: 'no-drawers',
      comment: 'a folder is named after what it is about',
      severity: 'error',
      from: {},
      to: { path: '^src/.*(utils|helpers|common|interfaces|models|services|managers)(/|\\.ts$)' },
    },
    {
      name: 'product-stands-alone',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(scripts|test)/' },
    },
    rank('rank-0-core', folder('core'), folder('core'), 'core knows nothing of ours'),
    rank('rank-0-api', folder('api'), folder('api'), 'the wire contract knows nothing of ours'),
    rank('rank-1-telemetry', folder('telemetry'), folder('core', 'api', 'telemetry')),
    ...nouns.map((noun) => ({
      name: `rank-2-${noun}`,
      severity: 'error',
      from: { path: folder(noun) },
      to: {
        path: '^src/',
        pathNot: [folder('core', 'api', 'telemetry', noun, ...(noun === 'providers' ? ['signing'] : [])), entities],
      },
    })),
    rank('rank-3-broker', folder('broker'), folder('core', 'api', 'telemetry', 'broker', ...nouns)),
    rank('rank-4-http', folder('http'), folder('core', 'api', 'telemetry', 'broker', 'http', ...nouns)),
    rank('rank-4-worker', folder('worker'), folder('core', 'api', 'telemetry', 'broker', 'worker', ...nouns)),
    rank('aside-client', folder('client'), folder('core', 'api', 'client')),
    rank('aside-cli', folder('cli'), folder('core', 'api', 'client', 'cli')),
    rank('top-config', folder('config'), folder('core', 'api', 'telemetry', 'config', ...nouns)),
    {
      name: 'nobody-below-imports-the-top',
      comment: 'each part is handed its own section of the configuration',
      severity: 'error',
      from: { path: '^src/', pathNot: `${tops}|${folder('bin', 'admin', 'dev', 'config')}` },
      to: { path: `${tops}|${folder('bin', 'admin', 'dev', 'config')}` },
    },
    home('express', folder('http')),
    home('ioredis', folder('ledger')),
    home('bullmq', folder('queue', 'worker')),
    home('@cedar-policy', folder('policy')),
    home('jose', `${folder('identity', 'signing')}|^src/client/dpop|^src/providers/github-app`),
    home('openid-client', '^src/client/oidc-login'),
    home('@aws-sdk', '^src/providers/aws-sts'),
    home('node-vault', '^src/providers/vault'),
    home('commander', folder('bin')),
    home('prom-client', folder('telemetry')),
    home('pino', folder('telemetry')),
    home('@grpc', `${folder('identity')}|^src/client/workload-api`),
    home('@peculiar', folder('identity')),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|scripts/servers/vault-build)' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.mjs', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
}
