import { execFileSync } from 'node:child_process'
import { describe, expect, test } from '@jest/globals'
import { formatCredential } from '../../../src/cli/credential-formats.js'
import { answerWith, credentials } from '../../support/answers.js'

describe('request --format, byte by byte', () => {
  test('aws is what credential_process reads, its end rounded down to whole seconds', () => {
    expect(formatCredential(answerWith(credentials.aws), 'aws')).toBe(
      '{"Version":1,"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"wJalr/secret","SessionToken":"FwoG//token",' +
        '"Expiration":"2031-05-06T07:08:09Z"}',
    )
  })

  test('git is key=value lines with password_expiry_utc', () => {
    expect(formatCredential(answerWith(credentials.jwt), 'git')).toBe(
      'username=x-access-token\npassword=minted.jwt.token\npassword_expiry_utc=1935817689',
    )
    expect(formatCredential(answerWith(credentials.secret), 'git')).toBe(
      "username=v-reader\npassword=it's $(id)\npassword_expiry_utc=1935817689",
    )
  })

  test('kubernetes is an ExecCredential v1', () => {
    expect(formatCredential(answerWith(credentials.jwt), 'kubernetes')).toBe(
      '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",' +
        '"status":{"expirationTimestamp":"2031-05-06T07:08:09Z","token":"minted.jwt.token"}}',
    )
  })

  test('json is the answer itself', () => {
    const answer = answerWith(credentials.secret)
    expect(JSON.parse(formatCredential(answer, 'json'))).toEqual(answer)
  })

  test('env survives a real shell, whatever the value holds', () => {
    const script = formatCredential(answerWith(credentials.secret), 'env')
    expect(script).toBe("export DATABASE_USERNAME='v-reader'\nexport DATABASE_PASSWORD='it'\\''s $(id)'")
    const seen = execFileSync('sh', ['-c', `${script}\nprintf %s "$DATABASE_PASSWORD"`], { encoding: 'utf8' })
    expect(seen).toBe("it's $(id)")
  })

  test.each([
    ['aws', credentials.jwt],
    ['git', credentials.aws],
    ['kubernetes', credentials.secret],
  ] as const)('%s refuses a credential that has no such form', (format, credential) => {
    expect(() => formatCredential(answerWith(credential), format)).toThrow(/has no such form/)
  })

  test('git refuses a value that would be a line of its own', () => {
    const evil = { ...credentials.secret, data: { username: 'a\nhost=evil.example', password: 'b' } }
    expect(() => formatCredential(answerWith(evil), 'git')).toThrow(/line feed/)
  })
})
