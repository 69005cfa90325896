/**
 * Known ways by which permissions become more than they are. Each names the actions that it needs and where it is described; ways that
 * need all of a shorter one's are left out.
 */
export type Way = {
  /** Of pathfinding.cloud (Datadog's catalogue, which took over Rhino Security Labs' list), or a word of ours. */
  readonly id: string;
  readonly needs: readonly string[];
  /** Follows `it`. */
  readonly does: string;
  /** It is one only where the resource is not one by name. */
  readonly wide?: true;
};

const OWN_POLICY = "gives itself any permission";
const OTHERS_PASSWORD = "signs in as another user";
const RUNS_UNDER = "runs code under a role that exists, with that role's permissions";
const PASSES = "runs code under any role that it may pass";

function way(id: string, does: string, ...needs: readonly string[]): Way {
  return { id, needs, does };
}
function passing(id: string, ...needs: readonly string[]): Way {
  return way(id, PASSES, "iam:PassRole", ...needs);
}

export const WAYS: readonly Way[] = [
  way("iam-001", OWN_POLICY, "iam:CreatePolicyVersion"),
  way("iam-set-default", "puts an older, wider version of a policy in force", "iam:SetDefaultPolicyVersion"),
  way("iam-005", OWN_POLICY, "iam:PutRolePolicy"),
  way("iam-007", OWN_POLICY, "iam:PutUserPolicy"),
  way("iam-008", OWN_POLICY, "iam:AttachUserPolicy"),
  way("iam-009", OWN_POLICY, "iam:AttachRolePolicy"),
  way("iam-010", OWN_POLICY, "iam:AttachGroupPolicy"),
  way("iam-011", OWN_POLICY, "iam:PutGroupPolicy"),
  way("iam-013", "puts a user into a group with more permissions", "iam:AddUserToGroup"),
  way("iam-002", "takes another user's place by a new access key", "iam:CreateAccessKey"),
  way("iam-004", OTHERS_PASSWORD, "iam:CreateLoginProfile"),
  way("iam-006", OTHERS_PASSWORD, "iam:UpdateLoginProfile"),
  way("iam-012", "lets itself take on another role", "iam:UpdateAssumeRolePolicy"),
  way("iam-boundary", "takes a role's ceiling away", "iam:DeleteRolePermissionsBoundary"),
  way("iam-boundary-put", "raises a role's ceiling", "iam:PutRolePermissionsBoundary"),
  way("iam-pass", "hands a role to a service, which then acts with its permissions", "iam:PassRole"),
  { ...way("sts-001", "takes on any role that trusts it", "sts:AssumeRole"), wide: true },
  way("apprunner-002", RUNS_UNDER, "apprunner:UpdateService"),
  way(
    "bedrock-002",
    RUNS_UNDER,
    "bedrock-agentcore:StartCodeInterpreterSession",
    "bedrock-agentcore:InvokeCodeInterpreter",
  ),
  way("cloudformation-002", RUNS_UNDER, "cloudformation:UpdateStack"),
  way("cloudformation-005", RUNS_UNDER, "cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"),
  way("codebuild-002", RUNS_UNDER, "codebuild:StartBuild"),
  way("codebuild-003", RUNS_UNDER, "codebuild:StartBuildBatch"),
  way("ec2-002", RUNS_UNDER, "ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:StartInstances"),
  way("ec2-004", RUNS_UNDER, "ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"),
  way("ec2instanceconnect-003", "signs in to a machine and has its role", "ec2-instance-connect:SendSSHPublicKey"),
  way("ecs-006", "enters a container and has its role", "ecs:ExecuteCommand"),
  way("glue-002", RUNS_UNDER, "glue:UpdateDevEndpoint"),
  way("lambda-003", RUNS_UNDER, "lambda:UpdateFunctionCode"),
  way("sagemaker-004", "enters a notebook and has its role", "sagemaker:CreatePresignedNotebookInstanceUrl"),
  way(
    "sagemaker-005",
    RUNS_UNDER,
    "sagemaker:CreateNotebookInstanceLifecycleConfig",
    "sagemaker:StopNotebookInstance",
    "sagemaker:UpdateNotebookInstance",
    "sagemaker:StartNotebookInstance",
  ),
  way("ssm-001", "opens a shell on a machine and has its role", "ssm:StartSession"),
  way("ssm-002", "runs commands on a machine and has its role", "ssm:SendCommand"),
  passing("apprunner-001", "apprunner:CreateService"),
  passing("bedrock-001", "bedrock-agentcore:CreateCodeInterpreter", "bedrock-agentcore:InvokeCodeInterpreter"),
  passing("cloudformation-001", "cloudformation:CreateStack"),
  passing("cloudformation-003", "cloudformation:CreateStackSet", "cloudformation:CreateStackInstances"),
  passing("cloudformation-004", "cloudformation:UpdateStackSet"),
  passing("codebuild-001", "codebuild:CreateProject"),
  passing("datapipeline-001", "datapipeline:CreatePipeline"),
  passing("ec2-001", "ec2:RunInstances"),
  passing("ec2-003", "ec2:RequestSpotInstances"),
  passing("ecs-003", "ecs:RegisterTaskDefinition", "ecs:CreateService"),
  passing("ecs-004", "ecs:RegisterTaskDefinition", "ecs:RunTask"),
  passing("ecs-005", "ecs:RegisterTaskDefinition", "ecs:StartTask"),
  passing("glue-001", "glue:CreateDevEndpoint"),
  passing("glue-003", "glue:CreateJob", "glue:StartJobRun"),
  passing("glue-004", "glue:CreateJob", "glue:CreateTrigger"),
  passing("glue-005", "glue:UpdateJob", "glue:StartJobRun"),
  passing("glue-006", "glue:UpdateJob", "glue:CreateTrigger"),
  passing("lambda-001", "lambda:CreateFunction", "lambda:InvokeFunction"),
  passing("lambda-002", "lambda:CreateFunction", "lambda:CreateEventSourceMapping"),
  passing("lambda-006", "lambda:CreateFunction", "lambda:AddPermission"),
  passing("sagemaker-001", "sagemaker:CreateNotebookInstance"),
  passing("sagemaker-002", "sagemaker:CreateTrainingJob"),
  passing("sagemaker-003", "sagemaker:CreateProcessingJob"),
];

const OURS: Readonly<Record<string, string>> = {
  "iam-set-default": "https://rhinosecuritylabs.com/aws/aws-privilege-escalation-methods-mitigation/",
  "iam-boundary": "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
  "iam-boundary-put": "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
  "iam-pass": "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html",
};

/** Where the way is described. */
export function sourceOf({ id }: Way): string {
  return OURS[id] ?? `https://pathfinding.cloud/paths/${id}`;
}
