// `npm run demo`, and `npm start` with --keep-running. Plain JavaScript: on a fresh clone nothing is installed yet.
import { installAndBuild } from './install.mjs'

const usage = 'usage: node scripts/demo.mjs [--keep-running]'
const words = process.argv.slice(2)
if (words.some((word) => word !== '--keep-running')) {
  console.error(usage)
  process.exit(2)
}
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Hallpass needs Node.js 20.19 or later; this is ${process.versions.node}`)
  process.exit(1)
}
installAndBuild((line) => console.error(`${line} …`))
const { runDemo } = await import('../dist/scripts/demo/main.js')
process.exit(await runDemo({ keep: words.length > 0 }))
