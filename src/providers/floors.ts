// The shortest lifetime that each kind of provider can give, seconds: also for commands on files, which make no provider.
export const minTtlSeconds = {
  jwt: 1,
  // A second is lost to whole seconds and the way there, and "0s" would be the longest that Vault has.
  vault: 2,
  // What is left of a session after its deny policy has spread would be nothing below it.
  aws_sts: 60,
} as const
