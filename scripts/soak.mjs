// `npm run soak`. Plain JavaScript: installs and builds where that was not done since the last change, then runs the compiled soak.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { installAndBuild, root } from './install.mjs'

installAndBuild((line) => process.stderr.write(`soak: ${line}\n`))
const soak = join(root, 'dist', 'scripts', 'soak', 'main.js')
const { status } = spawnSync(process.execPath, [soak, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
process.exit(status ?? 1)
