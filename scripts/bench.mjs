// `npm run bench`. Plain JavaScript: installs and builds where that was not done yet, then runs the compiled bench.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bench = `${root}/dist/scripts/bench/main.js`
// What is printed on stdout belongs to the bench alone: with --json a machine reads it.
const toStderr = { cwd: root, stdio: ['ignore', 2, 2] }
if (!existsSync(`${root}/node_modules/typescript`)) execFileSync('npm', ['ci'], toStderr)
if (!existsSync(bench)) execFileSync(process.execPath, [`${root}/scripts/build.mjs`], toStderr)
const { status } = spawnSync(process.execPath, [bench, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
process.exit(status ?? 1)
