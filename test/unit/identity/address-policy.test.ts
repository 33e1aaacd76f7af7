import { describe, expect, test } from '@jest/globals'
import { isAllowedAddress } from '../../../src/identity/address-policy.js'

describe('an address that keys may be fetched from', () => {
  test.each(['140.82.112.3', '8.8.8.8', '172.15.0.1', '172.32.0.1', '100.63.0.1', '2606:50c0:8000::153'])(
    '%s is public',
    (address) => {
      expect(isAllowedAddress(address, 'public')).toBe(true)
    },
  )

  test.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.127.255.255',
    '100.100.100.200',
    '168.63.129.16',
    '100.64.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:10.0.0.1',
    '::ffff:a9fe:a9fe',
    '::ffff:127.0.0.1',
    '::127.0.0.1',
    '64:ff9b::169.254.169.254',
    '64:ff9b:1::1',
    'fe80::1%1',
    'fd20:ce::254',
    '100::1',
    '5f00::1',
    '2001:20::1',
    '::ffff:8.8.8.8',
    '64:ff9b::a00:1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'ff02::1',
    '2001:db8::1',
    '2001:0:1::1',
    '2002:a00:1::1',
    'not an address',
    '',
  ])('%p is not public', (address) => {
    expect(isAllowedAddress(address, 'public')).toBe(false)
  })

  test('on loopback or a private network is taken only where the operator said so', () => {
    expect(isAllowedAddress('127.0.0.1', 'loopback')).toBe(true)
    expect(isAllowedAddress('::1', 'loopback')).toBe(true)
    expect(isAllowedAddress('10.0.0.1', 'loopback')).toBe(false)
    expect(isAllowedAddress('169.254.169.254', 'loopback')).toBe(false)
    expect(isAllowedAddress('10.0.0.1', 'any')).toBe(true)
  })
})
