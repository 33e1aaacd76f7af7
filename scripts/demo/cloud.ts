// AWS as the demo needs it: the roles that an operator sets up, who a credential is, and what IAM makes of it.
import {
  CreateRoleCommand,
  GetRolePolicyCommand,
  IAMClient,
  ListRolePoliciesCommand,
  PutRolePolicyCommand,
} from '@aws-sdk/client-iam'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const region = 'eu-west-1'
const role = 'hallpass-reports'
const account = '123456789012'
const bucket = 'arn:aws:s3:::acme-reports'
// Neither server has accounts: any key will do for the one who sets up.
const setUpKey = { accessKeyId: 'AKIAHALLPASSDEMO0000', secretAccessKey: 'of-no-use-anywhere' }

export interface AwsCredential {
  readonly access_key_id: string
  readonly secret_access_key: string
  readonly session_token: string
}

/** What the role may do by itself: much more than any grant. */
const rolePolicy = allow(['s3:*'], '*')
/** What the grant's session policy leaves of it, as in config/demo/hallpass.yaml. */
const sessionPolicy = allow(['s3:GetObject'], `${bucket}/*`)

function allow(actions: string[], resource: string) {
  return { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: resource }] }
}

/** The role that leases use, and the one that writes its deny policy. Safe to repeat. */
export async function setUpRoles(endpoint: string): Promise<void> {
  const iam = new IAMClient({ endpoint, region, credentials: setUpKey })
  const AssumeRolePolicyDocument = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole' }],
  })
  for (const RoleName of [role, 'hallpass-deny']) {
    await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument })).catch((error: Error) => {
      if (!error.name.startsWith('EntityAlreadyExists')) throw error
    })
  }
  const PolicyDocument = JSON.stringify(rolePolicy)
  await iam.send(new PutRolePolicyCommand({ RoleName: role, PolicyName: 'reports', PolicyDocument }))
  iam.destroy()
}

/** The name of the session that STS says this credential is. */
export async function sessionNameOf(endpoint: string, credential: AwsCredential): Promise<string> {
  const sts = new STSClient({
    endpoint,
    region,
    credentials: {
      accessKeyId: credential.access_key_id,
      secretAccessKey: credential.secret_access_key,
      sessionToken: credential.session_token,
    },
  })
  const { Arn = '' } = await sts.send(new GetCallerIdentityCommand({}))
  sts.destroy()
  return Arn.split('/').at(-1) ?? ''
}

/**
 * Whether IAM lets this session do it now: AWS's rules of evaluation over the role's policies as they stand at the server,
 * and over the session policy of the grant. (No server here evaluates policies when S3 is called.)
 */
export async function isAllowed(endpoint: string, session: string, action: string): Promise<boolean> {
  const answer = await runSimulation(
    {
      request: {
        principal: `arn:aws:sts::${account}:assumed-role/${role}/${session}`,
        action,
        resource: { resource: `${bucket}/august.csv`, accountId: account },
        contextVariables: {
          'aws:CurrentTime': `${new Date().toISOString().slice(0, 19)}Z`,
          'aws:userid': `AROADEMO:${session}`,
        },
      },
      sessionPolicy,
      identityPolicies: await readRolePolicies(endpoint),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    {},
  )
  if (answer.resultType === 'error') throw new Error(`IAM cannot evaluate it: ${JSON.stringify(answer.errors)}`)
  return answer.overallResult === 'Allowed'
}

async function readRolePolicies(endpoint: string): Promise<{ name: string; policy: unknown }[]> {
  const iam = new IAMClient({ endpoint, region, credentials: setUpKey })
  const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName: role }))
  const policies = await Promise.all(
    PolicyNames.map(async (name) => {
      const { PolicyDocument = '' } = await iam.send(new GetRolePolicyCommand({ RoleName: role, PolicyName: name }))
      return { name, policy: JSON.parse(decodeURIComponent(PolicyDocument)) as unknown }
    }),
  )
  iam.destroy()
  return policies
}
