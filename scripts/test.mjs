// `npm test`: everything this machine can host, and what was left out. HALLPASS_REQUIRE_REAL=1 (CI): nothing may be left out.
// Arguments go to jest: npm test -- test/unit/ledger
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installAndBuild, root } from './install.mjs'

const say = (line) => process.stderr.write(`test: ${line}\n`)
const requireReal = process.env.HALLPASS_REQUIRE_REAL === '1'

installAndBuild(say)
const { findOrInstallServer } = await import('../dist/src/dev/redis.js')
const { findVault } = await import('../dist/scripts/servers/vault.js')
const { findPostgres } = await import('../dist/scripts/servers/postgres.js')
const { findMoto } = await import('../dist/scripts/servers/moto.js')

const leftOut = []
const isThere = (what, found, how) => {
  if (!found) leftOut.push(`${what}: ${how}`)
}
const redis = process.env.REDIS_URL ? process.env.REDIS_URL : await findOrInstallServer(process.env, say)
if (!redis) {
  say('there is no Redis, which every story needs: install redis-server or valkey-server')
  process.exit(1)
}
isThere(
  'Vault (its stand-in was tested)',
  findVault(),
  'put vault or bao on PATH, or run node scripts/servers/build-vault.mjs (needs Go)',
)
isThere('PostgreSQL behind Vault', findPostgres(), 'install postgresql')
isThere(
  'STS and IAM by moto (their stand-in was tested)',
  findMoto(),
  'run node scripts/servers/install-moto.mjs (needs Python)',
)
if (requireReal && leftOut.length > 0) {
  say(`HALLPASS_REQUIRE_REAL=1 and not everything is there:\n  ${leftOut.join('\n  ')}`)
  process.exit(1)
}

const folder = mkdtempSync(join(tmpdir(), 'hallpass-test-'))
const results = join(folder, 'results.json')
const { status } = spawnSync(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--no-warnings',
    join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
    // When all results are there it ends, also where a client library left a timer behind: its workers do so anyway.
    '--forceExit',
    '--json',
    `--outputFile=${results}`,
    ...process.argv.slice(2),
  ],
  // jest's report goes to stderr; its JSON to the file alone.
  { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
)
const counts = readCounts()
rmSync(folder, { recursive: true, force: true })
for (const line of leftOut) console.log(`left out: ${line}`)
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exit(status === 0 && counts.failed === 0 && counts.passed > 0 ? 0 : 1)

function readCounts() {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites } = JSON.parse(
      readFileSync(results, 'utf8'),
    )
    // A suite that could not even be loaded is a failure too.
    return {
      passed: numPassedTests,
      failed: numFailedTests + numRuntimeErrorTestSuites,
      skipped: numPendingTests + numTodoTests,
    }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}
