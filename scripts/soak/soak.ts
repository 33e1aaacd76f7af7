// The story of a soak: load and faults at once, then calm, then a comparison, then an end of everything, then the verdict.
import { type Book, createBook } from './book.js'
import { type Asked, askOnce, createWorkload, noteHanded, openTask, order, runLoad, secret } from './callers.js'
import { runFaults } from './faults.js'
import { type Ground, startGround } from './ground.js'
import { activeOf, type LedgerView, readLedger } from './ledger-view.js'
import { pause } from './random.js'
import { type Outcome, outcomeOf } from './report.js'
import { awsRoles } from './settings.js'
import { judgeAudit, judgeSightings, judgeTokens } from './verdict.js'
import { isAccepted, startWatch, type Watch } from './watch.js'

export interface SoakOptions {
  readonly seed: number
  /** How long load and faults go on. Start and end come on top: about half a minute. */
  readonly seconds: number
  readonly callers: number
  /** Between faults and for how long, 1 for minutes; see faults.ts. */
  readonly scale: number
  /** Stand-ins although a real Vault is there. */
  readonly standIns: boolean
  readonly secrets: boolean
  /** The built `dist/src/bin/hallpass.js`. */
  readonly hallpass: string
  say(line: string): void
}

export async function runSoak(options: SoakOptions): Promise<Outcome> {
  const book = createBook()
  const begun = performance.now()
  const say = (line: string) => options.say(`${((performance.now() - begun) / 1000).toFixed(1).padStart(5)} s  ${line}`)
  const ground = await startGround({ ...options, book })
  try {
    say(`seed ${options.seed}; ${ground.vault.what}, ${ground.sts.what}; two brokers, two workers, one Redis`)
    const watch = startWatch(ground, book, options.seed)
    const upset = performance.now() + options.seconds * 1000
    const isOver = () => performance.now() > upset
    await Promise.all([runLoad(ground, book, { ...options, isOver }), runFaults(ground, book, { ...options, isOver })])
    say(`calm; ${book.handed.size} credentials were handed out`)
    await ground.untilReady(90)
    await untilSettled(ground, book)
    say('settled')
    await compareInCalm(ground, book, options)
    say('compared')
    const final = await endEverything(ground, book)
    say('everything was ended')
    await watch.stop()
    return await judge(ground, book, watch, final, { ...options, tookSeconds: (performance.now() - begun) / 1000 })
  } finally {
    await ground.stop()
  }
}

/** The longest ttl of the load and its 5 s, and the minute that back-off and doubts of what was minted may take. */
const settleSeconds = 130

/** Longer than the whole rest takes. */
const calmTtl = 600

/** What should be dead is, once its deadline and 5 s have passed. */
async function untilSettled(ground: Ground, book: Book): Promise<void> {
  const settled = await untilNothing(async () => (await readLedger(ground.redis)).overdue, settleSeconds)
  for (const what of settled) book.wrong.push({ check: 'stuck', what })
}

/** Of some that are bought in calm and live on, and of what else is left, providers and ledger tell the same. */
async function compareInCalm(ground: Ground, book: Book, options: SoakOptions): Promise<void> {
  const workload = await createWorkload(ground, book, 7000)
  const task = await openTask(workload, ground.serves[0], book, calmTtl)
  const choices: Asked[] = [
    { action: 'report.read', resource: 'repo:acme/web' },
    { action: 'config.read', resource: 'database:orders' },
    ...awsRoles.map((role) => ({ action: `${role}.read`, resource: 'bucket:reports' })),
    ...(options.secrets ? [secret] : []),
  ]
  let bought = 0
  for (const [i, asked] of [...choices, ...choices, ...choices].entries()) {
    if (task === null) break
    const answer = await askOnce(workload, ground.serves[i % 2 === 0 ? 0 : 1], { task, asked, ttl: calmTtl })
    if (answer?.status !== 201) continue
    noteHanded(book, answer, asked)
    bought += 1
  }
  if (bought < choices.length) book.wrong.push({ check: 'unlike', what: `only ${bought} could be bought in calm` })
  const unlike = await untilNothing(() => compare(ground, book), 60)
  for (const what of unlike) book.wrong.push({ check: 'unlike', what })
}

/** Both lists, and what a resource server is told of the tokens. */
async function compare(ground: Ground, book: Book): Promise<string[]> {
  const view = await readLedger(ground.redis)
  const differences: string[] = []
  for (const [provider, side] of [
    ['vault', ground.vault],
    ['aws', ground.sts],
  ] as const) {
    const there = new Set((await side.alive()).map(({ lease }) => lease))
    const here = activeOf(view, provider)
    for (const id of there) if (!here.has(id)) differences.push(`${id} lives at ${provider}, not in the ledger`)
    for (const id of here) if (!there.has(id)) differences.push(`${id} lives in the ledger, not at ${provider}`)
  }
  const asker = await createWorkload(ground, { ...book, answers: new Map() }, 7001)
  const here = activeOf(view, 'tokens')
  const tokens = [...book.handed.values()].filter(({ action }) => action === 'report.read')
  for (const { lease, secret: token } of tokens.slice(-300)) {
    const accepted = await isAccepted(ground, asker, 0, token)
    if (accepted !== here.has(lease)) differences.push(`${lease} is ${accepted ? '' : 'not '}accepted`)
  }
  return differences
}

/** By one order over all, and the tasks' own end. What then still lives at a provider is written down. */
async function endEverything(ground: Ground, book: Book): Promise<LedgerView> {
  const ordered = await order(ground, book, ground.serves[0], { target: { all: true }, reason: 'the soak is over' })
  if (ordered === null || ordered.status >= 300)
    book.wrong.push({ check: 'stuck', what: `the order over all was answered ${ordered?.status} ${ordered?.text}` })
  const living = async () => {
    const view = await readLedger(ground.redis)
    return [...activeOf(view, 'tokens'), ...activeOf(view, 'vault'), ...activeOf(view, 'aws'), ...view.overdue]
  }
  for (const what of await untilNothing(living, 60)) book.wrong.push({ check: 'stuck', what: `${what}, at the end` })
  const alive = async () => [...(await ground.vault.alive()), ...(await ground.sts.alive())].map(({ lease }) => lease)
  for (const what of await untilNothing(alive, 60)) book.wrong.push({ check: 'left', what })
  return await readLedger(ground.redis)
}

async function judge(
  ground: Ground,
  book: Book,
  watch: Watch,
  final: LedgerView,
  took: SoakOptions & { tookSeconds: number },
): Promise<Outcome> {
  const sightings = watch.sightings()
  judgeSightings(book, sightings, final)
  judgeTokens(book, final)
  const records = await judgeAudit(ground, book, final, sightings)
  return outcomeOf(book, {
    seed: took.seed,
    seconds: took.tookSeconds,
    leases: final.leases,
    records,
    looks: watch.looks,
    harmed: { vault: ground.vault.line.harmed, sts: ground.sts.line.harmed },
  })
}

/** Looks again until nothing is found any more, or the time is up; answers what was found last. */
async function untilNothing(look: () => Promise<readonly string[]>, seconds: number): Promise<readonly string[]> {
  const end = performance.now() + seconds * 1000
  for (;;) {
    const found = await look()
    if (found.length === 0 || performance.now() > end) return found
    await pause(500)
  }
}
