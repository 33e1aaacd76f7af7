// Builds HashiCorp Vault from its Go module into ~/.cache/hallpass, once. Plain JavaScript: it runs before anything is
// installed. Needs Go; takes four to ten minutes on two cores when nothing is cached.
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inAttempts } from './attempts.mjs'

export const vaultVersion = '1.21.0'
export const builtVaultPath = join(homedir(), '.cache', 'hallpass', `vault-${vaultVersion}`, 'vault')

/** The built program's path; builds it when it is not there. Throws when there is no Go or the build fails. */
export async function buildVault(say = console.log) {
  if (existsSync(builtVaultPath) && spawnSync(builtVaultPath, ['version']).status === 0) {
    say(`Vault ${vaultVersion}: ${builtVaultPath} (built before)`)
    return builtVaultPath
  }
  if (spawnSync('go', ['version']).status !== 0) throw new Error('building Vault needs Go 1.25 or later on PATH')
  const source = join(dirname(fileURLToPath(import.meta.url)), 'vault-build')
  const work = mkdtempSync(join(tmpdir(), 'hallpass-vault-build-'))
  try {
    for (const file of ['main.go', 'go.mod']) copyFileSync(join(source, file), join(work, file))
    say(
      `Vault ${vaultVersion}: compiling (four to ten minutes on two cores, and longer where its modules must come first)`,
    )
    // -mod=mod fills in what the short go.mod leaves out: the same 490 modules as `go mod tidy -e`, without the ones that
    // only tests import (one of which was never published).
    // A module that did not come is asked for again; what came and what was compiled is kept by Go meanwhile.
    const build = ['build', '-mod=mod', '-trimpath', '-ldflags=-s -w', '-o', 'vault', '.']
    await inAttempts('building Vault', () => run(work, build, say), say)
    mkdirSync(dirname(builtVaultPath), { recursive: true })
    // Into place by a rename, so that whoever looks never finds half a program.
    const staged = `${builtVaultPath}.${process.pid}`
    copyFileSync(join(work, 'vault'), staged)
    renameSync(staged, builtVaultPath)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  say(`Vault ${vaultVersion}: ${builtVaultPath}`)
  return builtVaultPath
}

function run(cwd, args, say) {
  const started = Date.now()
  const minutes = () => `${((Date.now() - started) / 60_000).toFixed(1)} min`
  const ticker = setInterval(() => say(`  go ${args[0]}: still running after ${minutes()}`), 60_000)
  return new Promise((resolve, reject) => {
    let lastWords = ''
    const child = spawn('go', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr.on('data', (chunk) => {
      lastWords = (lastWords + chunk).slice(-4000)
    })
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) {
        say(`  go ${args[0]}: done in ${minutes()}`)
        resolve()
      } else reject(new Error(`go ${args.join(' ')} ended with ${code}:\n${lastWords}`))
    })
  }).finally(() => clearInterval(ticker))
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  buildVault().catch((error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}
