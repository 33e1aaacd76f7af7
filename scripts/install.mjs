// What `npm run demo`, `npm test` and `npm run bench` share before anything is installed: dependencies and a build that is
// not older than its sources. Plain JavaScript, for that reason.
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** Installs and builds where that was not done since the last change. `say` is told before anything that takes long. */
export function installAndBuild(say) {
  const marker = join(root, 'node_modules', '.package-lock.json')
  // A linked folder is another checkout's: npm ci would empty it there before it replaces the link here.
  const linked = lstatSync(join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink() ?? false
  const isOld = !existsSync(marker) || statSync(marker).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs
  if (isOld && linked) say('node_modules is a link: installing is left to whoever owns it')
  else if (isOld) {
    say('installing dependencies (npm ci)')
    // What npm prints is for our stderr: stdout belongs to whoever called.
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root, stdio: ['ignore', 2, 2] })
  }
  const built = join(root, 'dist', 'src', 'bin', 'hallpass.js')
  if (!existsSync(built) || statSync(built).mtimeMs < newestIn(['src', 'scripts'])) {
    say('building')
    execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs')], { cwd: root, stdio: ['ignore', 2, 2] })
  }
}

function newestIn(folders) {
  let newest = 0
  for (const folder of folders) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) newest = Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs)
    }
  }
  return newest
}
