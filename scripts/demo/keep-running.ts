// `npm start`: the stack stays, with tokens in files that are kept fresh, until Ctrl-C.
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Narrator } from './narrator.js'
import type { Undo } from './undo.js'
import { hallpassProgram, type World } from './world.js'

/** Tokens live five minutes, as a SPIRE agent's do; each is replaced long before. */
const freshEveryMs = 60_000

export async function keepRunning(
  world: World,
  narrator: Narrator,
  undo: Undo,
  until: Promise<unknown>,
): Promise<void> {
  const folder = join(world.directory, 'tokens')
  await mkdir(folder, { mode: 0o700 })
  const refresh = async () => {
    const { identities } = world
    const tokens = {
      agent: await identities.agent(),
      ci: await identities.ci('1'),
      operator: await identities.operator(),
    }
    for (const [name, token] of Object.entries(tokens)) await replace(join(folder, `${name}.jwt`), token)
  }
  await refresh()
  const timer = setInterval(() => void refresh().catch(() => undefined), freshEveryMs)
  undo.add(async () => clearInterval(timer))
  for (const line of instructions(world, folder)) narrator.note(line)
  await Promise.race([until, someProgramEnds(world)])
}

/** By a rename: a reader never sees half a token. */
async function replace(file: string, token: string): Promise<void> {
  await writeFile(`${file}.new`, token, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

async function someProgramEnds({ programs }: World): Promise<never> {
  const program = await Promise.race(programs.map((one) => one.ended.then(() => one)))
  throw new Error(`hallpass ${program.name} ended by itself:\n${program.lastWords()}`)
}

function instructions({ url, configFile }: World, folder: string): string[] {
  return [
    '',
    `API         ${url}/openapi.json, metrics at ${url}/metrics, state at ${url}/readyz`,
    `policies    ${join(configFile, '..', 'policies')} (a change is taken within two seconds)`,
    `tokens      ${folder}/agent.jwt, ci.jwt, operator.jwt (kept fresh)`,
    '',
    'Try, in another terminal:',
    `  alias hallpass='node ${hallpassProgram}'`,
    `  export HALLPASS_URL=${url} HALLPASS_CONFIG=${configFile}`,
    `  export HALLPASS_TOKEN_FILE=${folder}/agent.jwt`,
    '  hallpass request --action database.query --resource database:orders',
    '  hallpass exec --action database.query --resource database:orders -- env',
    `  HALLPASS_TOKEN_FILE=${folder}/operator.jwt hallpass lease list`,
    `  HALLPASS_TOKEN_FILE=${folder}/operator.jwt hallpass revoke all --reason "trying it out" --wait`,
    '  hallpass audit verify',
    '',
    'Ctrl-C ends everything.',
  ]
}
