import { describe, expect, test } from '@jest/globals'
import { exitCodeOf, UsageError } from '../../../src/cli/exit-codes.js'
import { ClientError } from '../../../src/client/index.js'
import { BrokerError } from '../../../src/core/errors.js'

describe('exit codes', () => {
  test.each([
    ['usage', new UsageError('--ttl'), 2],
    ['a missing HALLPASS_URL', new ClientError('invalid_configuration', 'x'), 2],
    ['a request that the broker cannot read', new ClientError('invalid_request', 'x', { status: 400 }), 2],
    ['the same on its own host', new BrokerError('invalid_request', 'x'), 2],
    ['no token at hand', new ClientError('no_subject_token', 'x'), 3],
    ['a token that is refused', new ClientError('invalid_token', 'x', { status: 401 }), 3],
    ['denied', new ClientError('denied', 'x', { status: 403 }), 4],
    ['locked', new ClientError('locked', 'x', { status: 403 }), 4],
    ['binding required', new ClientError('binding_required', 'x', { status: 403 }), 4],
    ['not permitted', new ClientError('not_permitted', 'x', { status: 403 }), 4],
    ['an approval that is wanted', new ClientError('approval_required', 'x', { status: 403 }), 5],
    ['an approval that was asked for', new ClientError('approval_required', 'x', { status: 202 }), 5],
    ['no answer', new ClientError('unavailable', 'x'), 6],
    ['a provider that failed', new ClientError('provider_failed', 'x', { status: 502 }), 6],
    ['a ledger that is down', new ClientError('ledger_unavailable', 'x', { status: 503 }), 6],
    ['not found', new ClientError('not_found', 'x', { status: 404 }), 1],
    ['quota', new ClientError('quota', 'x', { status: 429 }), 1],
    ['an internal error of the broker', new ClientError('internal', 'x', { status: 500 }), 1],
    ['anything else', new Error('x'), 1],
  ])('%s', (_, error, exitCode) => {
    expect(exitCodeOf(error)).toBe(exitCode)
  })
})
