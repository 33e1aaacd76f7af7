// Compiles the TypeScript and copies what is not TypeScript. Plain JavaScript: it runs before anything is built.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
rmSync(`${root}/dist`, { recursive: true, force: true })
execFileSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', `${root}/tsconfig.build.json`], {
  stdio: 'inherit',
  cwd: root,
})
cpSync(`${root}/src/ledger/lua`, `${root}/dist/src/ledger/lua`, { recursive: true })
cpSync(`${root}/src/identity/workload.proto`, `${root}/dist/src/identity/workload.proto`)
chmodSync(`${root}/dist/src/bin/hallpass.js`, 0o755)
