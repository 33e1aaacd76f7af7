// A broker inside the test's process: real Redis, real queue, real audit files, real keys, real policies; its credentials
// live at the far side or are signed here. Several of them on one Redis stand for several processes.
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AuditLog, openAuditLog } from '../../src/audit/audit-log.js'
import type { AuditRecord } from '../../src/audit/record.js'
import { createAuditMirror } from '../../src/broker/mirror-audit.js'
import type { Parts, Rules } from '../../src/broker/parts.js'
import { startContinuity, watchLedger } from '../../src/compose/continuity.js'
import { composeRules, following } from '../../src/compose/rules.js'
import { type Clock, systemClock } from '../../src/core/clock.js'
import { BrokerError } from '../../src/core/errors.js'
import { Secret } from '../../src/core/secret.js'
import {
  type Connection,
  connectFailFast,
  connectPatient,
  type RedisSettings,
  untilReady,
} from '../../src/ledger/connection.js'
import type { Continuity } from '../../src/ledger/continuity.js'
import { openRedisLedger } from '../../src/ledger/redis-ledger.js'
import { createReplicaAcks } from '../../src/ledger/replica-acks.js'
import { createSealing } from '../../src/ledger/sealing.js'
import { type BreakerSettings, createBreakers } from '../../src/providers/breaker.js'
import type { Provider } from '../../src/providers/provider.js'
import { createSignedJwtProvider } from '../../src/providers/signed-jwt.js'
import { createRevocationQueue } from '../../src/queue/revocation-queue.js'
import { createCheckpointSigner } from '../../src/signing/checkpoint-tokens.js'
import { openFileKeyset } from '../../src/signing/file-keyset.js'
import { createMissingKeys } from '../../src/signing/key-rotation.js'
import { createLogger } from '../../src/telemetry/logger.js'
import { createMetrics } from '../../src/telemetry/metrics.js'
import { editStoryRules, loadStoryRules, type RulesEdit, storyIssuer } from './story-config.js'
import { TestProvider, type TestProviderSettings } from './test-provider.js'

export interface BrokerSettings {
  readonly redis: RedisSettings
  /** Where the far side listens. */
  readonly far: string
  /** For the provider named `far`. */
  readonly provider?: Partial<TestProviderSettings>
  readonly limits?: string
  /** Other rules than the stories'. */
  readonly load?: typeof loadStoryRules
  readonly clock?: Clock
  /** They never open unless a test is about them. */
  readonly breakers?: Partial<BreakerSettings>
  /** Where keys and audit lie; several brokers of one deployment share keys, and so tokens. */
  readonly instance?: string
  /** With the beat of a program: whether the ledger loses anything is watched, and its replicas are asked. */
  readonly watched?: boolean
}

export interface TestBroker {
  readonly parts: Parts
  /** Null where it is not watched. */
  readonly continuity: Continuity | null
  readonly far: TestProvider
  /** Records that answer true are not written: the sink is down for them. */
  readonly auditSwitch: { isDown: (record: AuditRecord) => boolean }
  /** Cuts the queue's connection: no job can be added any more. */
  cutQueue(): void
  connectPatient(): Connection
  /** What the operator changes on disk, and the broker loads: its configuration, its policies. */
  changeRules(edit: RulesEdit): Promise<Rules>
  readonly policyFile: string
  /** Everything on disk, in order. */
  records(): Promise<AuditRecord[]>
  /** The folder of its chains; it goes with the broker. */
  readonly auditFolder: string
  close(): Promise<void>
}

const sealingKey = randomBytes(32).toString('base64')

export async function startTestBroker(settings: BrokerSettings): Promise<TestBroker> {
  const { redis, clock = systemClock, instance = 'one' } = settings
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-broker-'))
  const loaded = await (settings.load ?? loadStoryRules)(folder, settings.limits ?? '')
  let inForce = await composeRules(loaded.settings, loaded.file, clock)
  await createMissingKeys(join(folder, 'keys'), systemClock)
  const keyset = await openFileKeyset({ directory: join(folder, 'keys') })
  const signCheckpoint = createCheckpointSigner(keyset, storyIssuer)
  const audit = await openAuditLog({
    directory: join(folder, 'audit'),
    instance,
    program: 'dev',
    clock,
    signCheckpoint,
    // The disk of a busy machine stands still for seconds at times; what that does is tested by itself (audit-log.test).
    waitMs: 15_000,
  })
  await inForce.keepPolicies(audit.directory)
  const auditSwitch: TestBroker['auditSwitch'] = { isDown: () => false }
  const quiet = () => undefined
  const opened: Connection[] = []
  const commands = connectFailFast(redis, quiet)
  await untilReady(commands, 30_000)
  const { prefix } = redis
  const continuity = settings.watched ? await watchLedger(commands, prefix, audit, (noted) => noted) : null
  const ledger = await openRedisLedger({
    redis: commands,
    subscriber: connectPatient(redis, quiet),
    prefix,
    ...(continuity === null ? {} : { continuity, acks: acksOf(redis, continuity) }),
  })
  const log = createLogger('test', process.env.HALLPASS_TEST_LOG ?? 'silent')
  const watch = { redis: commands, prefix, ledger, audit, log, memoryMs: 86_400_000, program: 'serve' as const }
  const beating = continuity === null ? null : await startContinuity({ ...watch, continuity })
  const jobs = connectFailFast(redis, quiet)
  await untilReady(jobs, 30_000)
  const queue = createRevocationQueue(jobs, redis.prefix, quiet)
  const far = new TestProvider({ name: 'far', url: settings.far, ...settings.provider })
  const tokens = createSignedJwtProvider('tokens', { type: 'jwt', timeout: 5, concurrency: 16 } as never, {
    clock,
    issuer: storyIssuer,
    sign: (claims) => keyset.sign('grants', 'at+jwt', { ...claims }),
    isActive: ledger.isLive,
    reservedAudiences: [],
  })
  const parts: Parts = {
    issuer: storyIssuer,
    rules: (): Rules => inForce.rules,
    providers: new Map<string, Provider>([
      ['far', far],
      ['tokens', tokens],
      ['copies', new TestProvider({ name: 'copies', url: settings.far, revocation: 'standing' })],
      ['fixed', new TestProvider({ name: 'fixed', url: settings.far, revocation: 'natural_expiry' })],
    ]),
    ledger,
    sealing: createSealing(new Secret(sealingKey), storyIssuer),
    audit: switchable(audit, auditSwitch),
    auditDirectory: join(folder, 'audit'),
    queue,
    keyset,
    clock,
    log,
    metrics: createMetrics(),
    breakers: createBreakers(clock, undefined, { failures: 1000, ...settings.breakers }),
  }
  const mirror = createAuditMirror(ledger, parts.log)
  audit.onFlushed = mirror.note
  // Without a sign that somebody sweeps nothing is issued.
  await ledger.takeDue([], 1)
  return {
    parts,
    continuity,
    far,
    auditSwitch,
    cutQueue: () => jobs.disconnect(),
    connectPatient() {
      const connection = connectPatient(redis, quiet)
      opened.push(connection)
      return connection
    },
    policyFile: join(folder, 'policies', 'main.cedar'),
    async changeRules(edit) {
      inForce = following(await composeRules(await editStoryRules(folder, edit), loaded.file, clock), inForce)
      return inForce.rules
    },
    records: () => readRecords(audit.directory),
    auditFolder: join(folder, 'audit'),
    async close() {
      for (const connection of opened) connection.disconnect()
      await queue.close().catch(() => undefined)
      jobs.disconnect()
      await mirror.close()
      await beating?.stop().catch(() => undefined)
      await ledger.close()
      await audit.close()
      keyset.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function acksOf(redis: RedisSettings, continuity: Continuity) {
  const { prefix } = redis
  const connect = () => connectFailFast(redis, () => undefined)
  const suspectLoss = (reason: string) => continuity.suspectLoss(reason)
  return createReplicaAcks({ connect, prefix, server: continuity.server, suspectLoss })
}

function switchable(audit: AuditLog, gate: TestBroker['auditSwitch']): Parts['audit'] {
  return {
    async append(record) {
      if (gate.isDown(record)) throw new BrokerError('audit_unavailable', 'switched off', { retryAfterSeconds: 2 })
      return await audit.append(record)
    },
  }
}

async function readRecords(directory: string): Promise<AuditRecord[]> {
  const files = (await readdir(directory)).filter((name) => /^\d+\.jsonl$/.test(name)).sort()
  const texts = await Promise.all(files.map((name) => readFile(join(directory, name), 'utf8')))
  // What stands behind the last line's end is still being written.
  return texts.flatMap((text) => text.split('\n').slice(0, -1)).map((line) => JSON.parse(line) as AuditRecord)
}
