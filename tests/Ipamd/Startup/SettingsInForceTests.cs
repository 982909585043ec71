// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Startup;
using Xunit;

namespace VpcCni.Ipamd.Tests.Startup;

/// <summary>Why a setting has no effect, as a phrase after "has no effect: ".</summary>
public sealed class SettingsInForceTests
{
    [Theory]
    [InlineData("WARM_PREFIX_TARGET", "ENABLE_PREFIX_DELEGATION is false")]
    [InlineData("WARM_PREFIX_TARGET", null, "ENABLE_PREFIX_DELEGATION=true")]
    [InlineData("WARM_PREFIX_TARGET", "WARM_IP_TARGET decides", "ENABLE_PREFIX_DELEGATION=true", "WARM_IP_TARGET=2")]
    [InlineData("WARM_ENI_TARGET", "WARM_PREFIX_TARGET decides", "ENABLE_PREFIX_DELEGATION=true")]
    [InlineData("WARM_ENI_TARGET", "MINIMUM_IP_TARGET decides", "MINIMUM_IP_TARGET=9")]
    [InlineData("WARM_ENI_TARGET", null)]
    public void Overruled_setting_names_the_other_setting(string name, string? expected, params string[] environment)
    {
        var bound = OptionBinder.Bind(environment.Select(item => item.Split('=')).ToDictionary(item => item[0], item => item[1]));
        var settings = SettingsInForce.Of(bound, pool: null, new NodeConditions());
        Assert.Equal(expected, Assert.Single(settings, setting => setting.Name == name).OverruledBy);
    }
}
