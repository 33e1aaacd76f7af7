// `npm run crash`: kills serve and worker at every point between two effects of their stories and prints what became of each.
// `npm run crash -- --points 20 --seed 7` takes a sample, the same for the same seed; `--only force-revoke` those whose name has
// it; `--lanes 2` on a busy machine. Plain JavaScript: nothing may be built yet.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installAndBuild, root } from './install.mjs'

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: 'all' },
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
    lanes: { type: 'string', default: '4' },
  },
})
installAndBuild((line) => process.stderr.write(`crash: ${line}\n`))
const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js')
const { status } = spawnSync(
  process.execPath,
  ['--experimental-vm-modules', '--no-warnings', jest, 'test/e2e/crash-points.test.ts'],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      CRASH_POINTS: values.points,
      CRASH_ONLY: values.only,
      CRASH_LANES: values.lanes,
      ...(values.seed ? { CRASH_SEED: values.seed } : {}),
    },
  },
)
process.exit(status ?? 1)
