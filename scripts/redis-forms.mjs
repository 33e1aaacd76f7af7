// `npm run forms`: the ledger's, the queue's and a sample of the crash tests on Redis as operators run it: one server, behind
// sentinels, as a cluster; as the user that the README gives. Failovers and TLS are in test/unit/ledger/redis-forms.test.ts.
// `npm run forms -- cluster` runs one of them; `--points 20 --seed 7` as for `npm run crash`. Nothing may be built yet.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installAndBuild, root } from './install.mjs'

const { values, positionals } = parseArgs({
  options: { points: { type: 'string', default: '6' }, seed: { type: 'string', default: '4' } },
  allowPositionals: true,
})
const say = (line) => process.stderr.write(`forms: ${line}\n`)
const forms = ['one', 'sentinels', 'cluster']
const unknown = positionals.find((form) => !forms.includes(form))
if (unknown !== undefined) {
  say(`unknown form ${unknown}: expected ${forms.join(', ')}`)
  process.exit(2)
}
installAndBuild(say)

const suites = ['test/unit/ledger', 'test/unit/queue', 'test/unit/worker/worker', 'test/e2e/crash-points.test.ts']
/** They start servers of their own, whatever the form: to kill, squeeze or restart them. */
const own = ['redis-forms', 'replica-acks', 'failover', 'demoted', 'redis-user', 'out-of-memory', 'ledger/outage']
const jest = [join(root, 'node_modules', 'jest', 'bin', 'jest.js'), '--maxWorkers=2', '--testTimeout=60000']

const failed = (positionals.length > 0 ? positionals : forms).filter((form) => {
  say(form)
  const { status } = spawnSync(
    process.execPath,
    ['--experimental-vm-modules', '--no-warnings', ...jest, ...suites, '--testPathIgnorePatterns', own.join('|')],
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, HALLPASS_REDIS_FORM: form, CRASH_POINTS: values.points, CRASH_SEED: values.seed },
    },
  )
  return status !== 0
})
say(failed.length === 0 ? 'all hold' : `failed on ${failed.join(', ')}`)
process.exit(failed.length === 0 ? 0 : 1)
