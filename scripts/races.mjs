// `npm run races`. Plain JavaScript: installs and builds where that was not done since the last change, then runs the compiled races.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { installAndBuild, root } from './install.mjs'

installAndBuild((line) => process.stderr.write(`races: ${line}\n`))
const races = join(root, 'dist', 'scripts', 'races', 'main.js')
const { status } = spawnSync(process.execPath, [races, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
process.exit(status ?? 1)
