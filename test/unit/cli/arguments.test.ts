import { describe, expect, test } from '@jest/globals'
import { parseCredentialOptions, parseDuration, parseExplicitVariables } from '../../../src/cli/arguments.js'

describe('the options that name credentials', () => {
  test('one, with its time and its declared context', () => {
    const options = {
      action: 'database.migrate',
      resource: 'database:orders',
      ttl: '5m',
      context: ['ticket=OPS-1=2', 'rows:=12', 'urgent:=true'],
    }
    expect(parseCredentialOptions(options)).toEqual([
      {
        name: null,
        request: {
          action: 'database.migrate',
          resource: 'database:orders',
          ttl_seconds: 300,
          context: { ticket: 'OPS-1=2', rows: 12, urgent: true },
        },
      },
    ])
  })

  test('several, each with the context that names it', () => {
    const options = {
      action: 'a',
      resource: 'r:1',
      credential: ['db:database.query=database:orders', 'repo.read=repo:acme/web'],
      context: ['db:reason=x', 'k=v'],
    }
    expect(parseCredentialOptions(options)).toEqual([
      { name: null, request: { action: 'a', resource: 'r:1', context: { k: 'v' } } },
      { name: 'db', request: { action: 'database.query', resource: 'database:orders', context: { reason: 'x' } } },
      { name: null, request: { action: 'repo.read', resource: 'repo:acme/web', context: { k: 'v' } } },
    ])
  })

  test.each([
    [{}, 'say what is needed'],
    [{ action: 'a' }, 'go together'],
    [{ credential: ['no-equals'] }, 'expected [NAME:]ACTION=RESOURCE'],
    [{ credential: ['x:a=r:1', 'x:b=r:2'] }, 'two are called x'],
    [{ action: 'a', resource: 'r:1', ttl: '5' }, '--ttl: expected a duration'],
    [{ action: 'a', resource: 'r:1', context: ['k'] }, '--context: expected k=v'],
    [{ action: 'a', resource: 'r:1', context: ['__proto__=x'] }, '--context: expected k=v'],
    [{ action: 'a', resource: 'r:1', context: ['k=1', 'k=2'] }, 'given twice'],
    [{ action: 'a', resource: 'r:1', context: ['k:=maybe'] }, 'expected an integer'],
    [{ action: 'a', resource: 'r:1', context: ['db:k=v'] }, 'no --credential is called db'],
  ])('%j is a usage error', (options, says) => {
    expect(() => parseCredentialOptions(options)).toThrow(says)
  })

  test('--env names a field of the first credential or of a named one', () => {
    expect(parseExplicitVariables(['A=token', 'B=db.password'], [null, 'db'])).toEqual([
      { variable: 'A', credential: null, field: 'token' },
      { variable: 'B', credential: 'db', field: 'password' },
    ])
    expect(parseExplicitVariables(['A=token'], ['db'])).toEqual([{ variable: 'A', credential: 'db', field: 'token' }])
    expect(() => parseExplicitVariables(['A=x.y'], [null])).toThrow('no --credential is called x')
    expect(() => parseExplicitVariables(['1A=x'], [null])).toThrow('expected NAME=field')
  })

  test('durations', () => {
    expect(parseDuration('90s', '--settle')).toBe(90)
    expect(() => parseDuration('soon', '--settle')).toThrow('--settle: expected a duration such as 90s, 10m or 1h')
  })
})
