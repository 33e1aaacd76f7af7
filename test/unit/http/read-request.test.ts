// A refused body names what is wrong in it, also where the schema is one of several kinds.
import { expect, test } from '@jest/globals'
import { lockRequest } from '../../../src/api/locks.js'
import { revocationRequest } from '../../../src/api/revocations.js'
import { BrokerError } from '../../../src/core/errors.js'
import { parseWith } from '../../../src/http/read-request.js'

function fieldsOf(schema: Parameters<typeof parseWith>[0], body: unknown): string[] {
  try {
    parseWith(schema, body)
  } catch (error) {
    if (error instanceof BrokerError) return (error.errors ?? []).map(({ field }) => field)
    throw error
  }
  return []
}

test.each([
  [{ account: 5 }, ['target.account']],
  [{ all: 'yes' }, ['target.all']],
  [{ where: { principal: 5 } }, ['target.where.principal']],
  [{ where: { principal: 5, state: 'gone' } }, ['target.where.state', 'target.where.principal']],
  [{ where: { attributes: { ref: [] } } }, ['target.where.attributes.ref']],
  [{ where: 'all' }, ['target.where']],
  [{ lease: 'x' }, ['target.lease']],
  [{}, ['target']],
  ['all', ['target']],
  [{ account: 'a', task: 'b' }, ['target']],
  [{ everything: true }, ['target']],
  [{ account: 'ci:1' }, []],
])('target %j: %j', (target, fields) => {
  expect(fieldsOf(revocationRequest, { target, reason: 'r' })).toEqual(fields)
})

test('a lock names its fields as well, and takes no filter', () => {
  expect(fieldsOf(lockRequest, { target: { principal: 1 }, reason: 'r' })).toEqual(['target.principal'])
  expect(fieldsOf(lockRequest, { target: { where: { state: 'active' } }, reason: 'r' })).toEqual(['target'])
})
