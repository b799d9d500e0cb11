<?xml version="1.0" encoding="UTF-8"?>
<!--
2.10 to 3.0, step 1: names and places that 3.0 knows no more.

Cluster options with underscores, defaults among the cluster options, old node types, parameters of fence devices,
isolation of resources, "requires" of operations, parameters of operations that are meta-attributes.

White space is kept: what goes takes the white space in front of it along, what comes brings its own.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml" encoding="UTF-8" indent="yes" omit-xml-declaration="yes"/>

  <xsl:template match="@*|node()">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <!-- The state of the cluster is not configuration. -->
  <xsl:template match="/cib/status/node()">
    <xsl:copy-of select="."/>
  </xsl:template>

  <xsl:template match="/cib/@validate-with">
    <xsl:attribute name="validate-with">pacemaker-3.0</xsl:attribute>
  </xsl:template>

  <!-- Pairs that leave their sets. A set that has none left goes as well. -->

  <xsl:key name="gone" use="generate-id()" match="cluster_property_set/nvpair[
    contains(' default-action-timeout default_action_timeout default-resource-stickiness default_resource_stickiness
               is-managed-default is_managed_default default-resource-failure-stickiness
               default_resource_failure_stickiness default-migration-threshold default_migration_threshold
               expected-quorum-votes notification-agent notification-recipient ', concat(' ', @name, ' '))
    or (@name = 'cluster-infrastructure'
        and (@value = 'heartbeat' or @value = 'openais' or @value = 'classic openais'
             or @value = 'classic openais (with plugin)' or @value = 'cman'))]"/>
  <xsl:key name="gone" use="generate-id()"
           match="primitive/instance_attributes/nvpair[@name = 'pcmk_arg_map']
                    [contains(@value, ',') or not(starts-with(@value, 'port:'))]
                  |template/instance_attributes/nvpair[@name = 'pcmk_arg_map']
                    [contains(@value, ',') or not(starts-with(@value, 'port:'))]"/>
  <xsl:key name="gone" use="generate-id()"
           match="meta_attributes[parent::primitive or parent::template]/nvpair[
                    (contains(' isolation isolation-host isolation-instance isolation-wrapper ', concat(' ', @name, ' '))
                     and preceding-sibling::nvpair[contains(' target-role isolation isolation-host isolation-instance
                                                              isolation-wrapper ', concat(' ', @name, ' '))])
                    or (@name = 'resource-failure-stickiness' and not(@value = '-INFINITY'))]"/>
  <xsl:key name="gone" use="generate-id()" match="op/meta_attributes/nvpair[@name = 'requires']"/>
  <xsl:key name="gone" use="generate-id()" match="op/instance_attributes/nvpair[
    contains(' requires interval-origin start-delay enabled on-fail record-pending role timeout ',
             concat(' ', @name, ' '))]"/>

  <xsl:key name="set-gone" use="generate-id()"
           match="cluster_property_set[not(nvpair[not(key('gone', generate-id()))])]
                  |meta_attributes[parent::primitive or parent::template or parent::op]
                    [not(nvpair[not(key('gone', generate-id()))])]
                  |instance_attributes[parent::primitive or parent::template or parent::op]
                    [not(nvpair[not(key('gone', generate-id()))])]"/>

  <xsl:template match="nvpair[key('gone', generate-id())]" priority="3"/>
  <xsl:template match="text()[normalize-space() = ''][following-sibling::node()[1][self::nvpair]
                                                      [key('gone', generate-id())]]"/>
  <xsl:template match="*[key('set-gone', generate-id())]" priority="3">
    <!-- Those of operations were told of before. -->
    <xsl:apply-templates select="nvpair[not(../parent::op)]" mode="tell"/>
  </xsl:template>

  <xsl:template match="@*|node()" mode="tell"/>

  <!-- Cluster options: told here about what leaves as well, in the order in which it stands. -->

  <xsl:template match="crm_config/cluster_property_set[not(key('set-gone', generate-id()))]">
    <xsl:apply-templates select="nvpair" mode="tell"/>
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <xsl:template mode="tell" match="cluster_property_set/nvpair[contains('
    cluster_recheck_interval dc_deadtime election_timeout no_quorum_policy remove_after_stop shutdown_escalation
    startup_fencing stonith_action stonith_enabled stop_orphan_actions stop_orphan_resources symmetric_cluster
    transition_idle_timeout ', concat(' ', @name, ' '))]">
    <xsl:message>DEBUG: Cluster properties: <xsl:value-of select="@id"/>: renaming <xsl:value-of select="@name"/> as <!--
      --><xsl:text/><xsl:apply-templates select="@name" mode="renamed"/></xsl:message>
  </xsl:template>

  <xsl:template match="cluster_property_set/nvpair/@name[contains('
    cluster_recheck_interval dc_deadtime election_timeout no_quorum_policy remove_after_stop shutdown_escalation
    startup_fencing stonith_action stonith_enabled stop_orphan_actions stop_orphan_resources symmetric_cluster
    transition_idle_timeout ', concat(' ', ., ' '))]">
    <xsl:attribute name="name"><xsl:apply-templates select="." mode="renamed"/></xsl:attribute>
  </xsl:template>

  <xsl:template match="@name" mode="renamed">
    <xsl:choose>
      <xsl:when test=". = 'transition_idle_timeout'">cluster-delay</xsl:when>
      <xsl:when test=". = 'default-action-timeout' or . = 'default_action_timeout'">timeout</xsl:when>
      <xsl:when test=". = 'default-resource-stickiness' or . = 'default_resource_stickiness'">resource-stickiness</xsl:when>
      <xsl:when test=". = 'is-managed-default' or . = 'is_managed_default'">is-managed</xsl:when>
      <xsl:when test="contains(., 'resource') and contains(., 'failure') and contains(., 'stickiness')">migration-threshold</xsl:when>
      <xsl:otherwise><xsl:value-of select="translate(., '_', '-')"/></xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template mode="tell" priority="2" match="cluster_property_set/nvpair[@name = 'cluster-infrastructure']
                                                [key('gone', generate-id())]">
    <xsl:call-template name="tell-drop">
      <xsl:with-param name="matching"> for matching heartbeat|openais|classic openais|classic openais (with plugin)|cman</xsl:with-param>
      <xsl:with-param name="why">corosync (2+) infrastructure can be used instead, though the value is not of significance</xsl:with-param>
    </xsl:call-template>
  </xsl:template>
  <xsl:template mode="tell" match="cluster_property_set/nvpair[@name = 'expected-quorum-votes']">
    <xsl:call-template name="tell-drop">
      <xsl:with-param name="why">corosync (2+) infrastructure tracks quorum on its own</xsl:with-param>
    </xsl:call-template>
  </xsl:template>
  <xsl:template mode="tell" match="cluster_property_set/nvpair[@name = 'notification-agent' or @name = 'notification-recipient']">
    <xsl:call-template name="tell-drop">
      <xsl:with-param name="why">standalone alerts can be configured instead</xsl:with-param>
    </xsl:call-template>
  </xsl:template>
  <xsl:template mode="tell" match="cluster_property_set/nvpair[
      @name = 'default-migration-threshold' or @name = 'default_migration_threshold'
      or @name = 'default-resource-failure-stickiness' or @name = 'default_resource_failure_stickiness']">
    <xsl:call-template name="tell-drop">
      <xsl:with-param name="why">migration-threshold in rsc_defaults can be configured instead</xsl:with-param>
    </xsl:call-template>
  </xsl:template>
  <xsl:template name="tell-drop">
    <xsl:param name="matching"/>
    <xsl:param name="why"/>
    <xsl:message>INFO: Cluster properties: <xsl:value-of select="@id"/>: dropping <xsl:value-of select="@name"/> <!--
      --><xsl:value-of select="$matching"/></xsl:message>
    <xsl:message>INFO: Cluster properties: ... <xsl:value-of select="$why"/></xsl:message>
  </xsl:template>

  <!-- Defaults among the cluster options move to the sections for defaults. -->

  <xsl:key name="default" use="'op_defaults'"
           match="cluster_property_set/nvpair[@name = 'default-action-timeout' or @name = 'default_action_timeout']"/>
  <xsl:key name="default" use="'rsc_defaults'" match="cluster_property_set/nvpair[
    @name = 'default-resource-stickiness' or @name = 'default_resource_stickiness'
    or @name = 'is-managed-default' or @name = 'is_managed_default'
    or ((@name = 'default-resource-failure-stickiness' or @name = 'default_resource_failure_stickiness')
        and @value = '-INFINITY')]"/>

  <xsl:template mode="tell" priority="2" match="cluster_property_set/nvpair[
    @name = 'default-action-timeout' or @name = 'default_action_timeout'
    or @name = 'default-resource-stickiness' or @name = 'default_resource_stickiness'
    or @name = 'is-managed-default' or @name = 'is_managed_default'
    or ((@name = 'default-resource-failure-stickiness' or @name = 'default_resource_failure_stickiness')
        and @value = '-INFINITY')]">
    <xsl:message>DEBUG: Cluster properties: <xsl:value-of select="@id"/>: moving <xsl:value-of select="@name"/> under <!--
      --><xsl:choose><xsl:when test="contains(@name, 'action')">op_defaults</xsl:when><!--
      --><xsl:otherwise>rsc_defaults</xsl:otherwise></xsl:choose> as <xsl:apply-templates select="@name" mode="renamed"/> <!--
      --><xsl:text> unless already defined there</xsl:text><!--
      --><xsl:if test="contains(@name, 'failure')">, redefined as 1, for matching -INFINITY</xsl:if></xsl:message>
  </xsl:template>

  <xsl:template match="configuration">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
      <xsl:if test="key('default', 'op_defaults') and not(op_defaults)">
        <op_defaults>
          <xsl:call-template name="new-defaults"><xsl:with-param name="section" select="'op_defaults'"/></xsl:call-template>
        </op_defaults>
      </xsl:if>
      <xsl:if test="key('default', 'rsc_defaults') and not(rsc_defaults)">
        <rsc_defaults>
          <xsl:call-template name="new-defaults"><xsl:with-param name="section" select="'rsc_defaults'"/></xsl:call-template>
        </rsc_defaults>
      </xsl:if>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="op_defaults[not(meta_attributes)]|rsc_defaults[not(meta_attributes)]">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
      <xsl:if test="key('default', name())">
        <xsl:call-template name="new-defaults"><xsl:with-param name="section" select="name()"/></xsl:call-template>
      </xsl:if>
    </xsl:copy>
  </xsl:template>

  <xsl:template name="new-defaults">
    <xsl:param name="section"/>
    <meta_attributes id="_2TO3_-{translate($section, '_', '-')}">
      <xsl:call-template name="moved-defaults">
        <xsl:with-param name="section" select="$section"/>
      </xsl:call-template>
    </meta_attributes>
    <xsl:value-of select="/cib/configuration/text()[last()]"/>
  </xsl:template>

  <!-- Into the first set without a rule, as what stood among the options was under no condition. -->
  <xsl:template match="op_defaults/meta_attributes[not(rule)][not(preceding-sibling::meta_attributes[not(rule)])]
                       |rsc_defaults/meta_attributes[not(rule)][not(preceding-sibling::meta_attributes[not(rule)])]">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
      <xsl:if test="key('default', name(..))">
        <xsl:call-template name="moved-defaults">
          <xsl:with-param name="section" select="name(..)"/>
        </xsl:call-template>
      </xsl:if>
    </xsl:copy>
  </xsl:template>

  <xsl:template name="moved-defaults">
    <xsl:param name="section"/>
    <xsl:variable name="present" select="/cib/configuration/*[name() = $section]/meta_attributes/nvpair/@name"/>
    <xsl:for-each select="key('default', $section)">
      <xsl:variable name="name"><xsl:apply-templates select="@name" mode="renamed"/></xsl:variable>
      <xsl:variable name="kind" select="translate(@name, '_', '-')"/>
      <xsl:if test="not($present = string($name))
                    and not(preceding::nvpair[parent::cluster_property_set][translate(@name, '_', '-') = $kind]
                            [key('gone', generate-id())])">
        <xsl:call-template name="space-before"/>
        <nvpair>
          <xsl:for-each select="@*">
            <xsl:choose>
              <xsl:when test="name() = 'name'">
                <xsl:attribute name="name"><xsl:value-of select="$name"/></xsl:attribute>
              </xsl:when>
              <xsl:when test="name() = 'value' and $name = 'migration-threshold'">
                <xsl:attribute name="value">1</xsl:attribute>
              </xsl:when>
              <xsl:otherwise><xsl:copy/></xsl:otherwise>
            </xsl:choose>
          </xsl:for-each>
        </nvpair>
      </xsl:if>
    </xsl:for-each>
    <xsl:value-of select="key('default', $section)[last()]/../text()[last()]"/>
  </xsl:template>

  <xsl:template name="space-before">
    <xsl:value-of select="preceding-sibling::node()[1][self::text()]"/>
  </xsl:template>

  <!-- Nodes. -->

  <xsl:template match="nodes/node/@type[. = 'normal']">
    <xsl:message>DEBUG: Cluster node: <xsl:value-of select="../@uname"/> (id=<xsl:value-of select="../@id"/>): keeping <!--
      -->type as type, redefined as member, for matching normal</xsl:message>
    <xsl:attribute name="type">member</xsl:attribute>
  </xsl:template>

  <!-- Constraints. -->

  <xsl:template match="rsc_colocation/@score-attribute|rsc_colocation/@score-attribute-mangle">
    <xsl:message>INFO: Constraints-colocation: <xsl:value-of select="../@id"/>: dropping <xsl:value-of select="name()"/></xsl:message>
    <xsl:message>INFO: Constraints-colocation: ... was actually never in effect</xsl:message>
  </xsl:template>

  <!-- Parameters of fence devices. -->

  <xsl:template match="primitive/instance_attributes|template/instance_attributes">
    <xsl:apply-templates select="nvpair" mode="tell"/>
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <xsl:template mode="tell" match="primitive/instance_attributes/nvpair[@name = 'pcmk_arg_map']
                                   |template/instance_attributes/nvpair[@name = 'pcmk_arg_map']">
    <xsl:choose>
      <xsl:when test="key('gone', generate-id())">
        <xsl:message>DEBUG: Resource instance_attributes: <xsl:value-of select="@id"/>: dropping pcmk_arg_map</xsl:message>
      </xsl:when>
      <xsl:otherwise>
        <xsl:message>DEBUG: Resource instance_attributes: <xsl:value-of select="@id"/>: renaming pcmk_arg_map as <!--
          -->pcmk_host_argument for matching port: prefix that will, meanwhile, get dropped</xsl:message>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template mode="tell" match="instance_attributes[parent::primitive or parent::template]/nvpair[
      contains(' pcmk_list_cmd pcmk_monitor_cmd pcmk_off_cmd pcmk_on_cmd pcmk_reboot_cmd pcmk_status_cmd ',
               concat(' ', @name, ' '))]">
    <xsl:message>DEBUG: Resource instance_attributes: <xsl:value-of select="@id"/>: renaming <xsl:value-of select="@name"/> as <!--
      --><xsl:value-of select="concat(substring-before(@name, '_cmd'), '_action')"/></xsl:message>
  </xsl:template>

  <xsl:template match="instance_attributes[parent::primitive or parent::template]/nvpair/@name[
      contains(' pcmk_list_cmd pcmk_monitor_cmd pcmk_off_cmd pcmk_on_cmd pcmk_reboot_cmd pcmk_status_cmd ',
               concat(' ', ., ' '))]">
    <xsl:attribute name="name"><xsl:value-of select="concat(substring-before(., '_cmd'), '_action')"/></xsl:attribute>
  </xsl:template>

  <xsl:template match="instance_attributes[parent::primitive or parent::template]/nvpair[@name = 'pcmk_arg_map']/@name">
    <xsl:attribute name="name">pcmk_host_argument</xsl:attribute>
  </xsl:template>
  <xsl:template match="instance_attributes[parent::primitive or parent::template]/nvpair[@name = 'pcmk_arg_map']/@value">
    <xsl:attribute name="value"><xsl:value-of select="substring-after(., 'port:')"/></xsl:attribute>
  </xsl:template>

  <!-- Meta-attributes of resources. -->

  <xsl:template match="meta_attributes[parent::primitive or parent::template]">
    <xsl:apply-templates select="nvpair" mode="tell"/>
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <xsl:template mode="tell" match="meta_attributes[parent::primitive or parent::template]/nvpair[
      contains(' isolation isolation-host isolation-instance isolation-wrapper ', concat(' ', @name, ' '))]">
    <xsl:message>WARNING: Resource meta_attributes: <xsl:value-of select="../../@id"/> (meta=<xsl:value-of select="../@id"/>): <!--
      -->renaming <xsl:value-of select="@name"/> as target-role, redefined as Stopped</xsl:message>
    <xsl:message>WARNING: Resource meta_attributes: ... i.e. resource at hand disabled; isolation wrappers obsoleted <!--
      -->with bundle resources</xsl:message>
  </xsl:template>
  <xsl:template mode="tell" match="meta_attributes[parent::primitive or parent::template]/nvpair[@name = 'resource-failure-stickiness']">
    <xsl:choose>
      <xsl:when test="@value = '-INFINITY'">
        <xsl:message>DEBUG: Resource meta_attributes: <xsl:value-of select="../../@id"/> (meta=<xsl:value-of select="../@id"/>): <!--
          -->renaming resource-failure-stickiness as migration-threshold, redefined as 1, for matching -INFINITY</xsl:message>
      </xsl:when>
      <xsl:otherwise>
        <xsl:message>INFO: Resource meta_attributes: <xsl:value-of select="../../@id"/> (meta=<xsl:value-of select="../@id"/>): <!--
          -->dropping resource-failure-stickiness</xsl:message>
        <xsl:message>INFO: Resource meta_attributes: ... migration-threshold can be configured instead</xsl:message>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template match="meta_attributes[parent::primitive or parent::template]/nvpair[
      contains(' isolation isolation-host isolation-instance isolation-wrapper ', concat(' ', @name, ' '))]/@name">
    <xsl:attribute name="name">target-role</xsl:attribute>
  </xsl:template>
  <xsl:template match="meta_attributes[parent::primitive or parent::template]/nvpair[
      contains(' isolation isolation-host isolation-instance isolation-wrapper ', concat(' ', @name, ' '))]/@value">
    <xsl:attribute name="value">Stopped</xsl:attribute>
  </xsl:template>
  <xsl:template match="meta_attributes[parent::primitive or parent::template]/nvpair[@name = 'resource-failure-stickiness']/@name">
    <xsl:attribute name="name">migration-threshold</xsl:attribute>
  </xsl:template>
  <xsl:template match="meta_attributes[parent::primitive or parent::template]/nvpair[@name = 'resource-failure-stickiness']/@value">
    <xsl:attribute name="value">1</xsl:attribute>
  </xsl:template>

  <!-- Operations: "requires" belongs to the resource; only that of start and promote was ever looked at. -->

  <xsl:template match="operations">
    <xsl:apply-templates select="op/instance_attributes/nvpair" mode="tell"/>
    <xsl:apply-templates select="op/meta_attributes/nvpair" mode="tell"/>
    <xsl:apply-templates select="op/@requires" mode="tell"/>
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="op/@requires"/>

  <xsl:template match="op/@requires" mode="tell">
    <xsl:call-template name="tell-requires">
      <xsl:with-param name="op" select=".."/>
      <xsl:with-param name="target" select="'meta_attributes'"/>
    </xsl:call-template>
  </xsl:template>
  <xsl:template match="op/meta_attributes/nvpair[@name = 'requires']" mode="tell">
    <xsl:call-template name="tell-requires">
      <xsl:with-param name="op" select="../.."/>
      <xsl:with-param name="set" select="concat(', meta=', ../@id)"/>
      <xsl:with-param name="target" select="'meta_attributes'"/>
    </xsl:call-template>
  </xsl:template>
  <xsl:template match="op/instance_attributes/nvpair[@name = 'requires']" mode="tell" priority="2">
    <xsl:call-template name="tell-requires">
      <xsl:with-param name="op" select="../.."/>
      <xsl:with-param name="set" select="concat(', meta=', ../@id)"/>
      <xsl:with-param name="kind" select="' instance_attributes'"/>
      <xsl:with-param name="target" select="'per-resource-meta_attributes'"/>
    </xsl:call-template>
  </xsl:template>
  <xsl:template match="op/instance_attributes/nvpair[key('gone', generate-id())]" mode="tell">
    <xsl:message>DEBUG: Resources-operation instance_attributes: <xsl:value-of select="../../@id"/> (rsc=<!--
      --><xsl:value-of select="../../../../@id"/>, meta=<xsl:value-of select="../@id"/>): moving <!--
      --><xsl:value-of select="@name"/> under meta_attributes as <xsl:value-of select="@name"/> unless already defined there<!--
      --></xsl:message>
  </xsl:template>

  <xsl:template name="tell-requires">
    <xsl:param name="op"/>
    <xsl:param name="set"/>
    <xsl:param name="kind"/>
    <xsl:param name="target"/>
    <xsl:variable name="head" select="concat('Resources-operation', $kind, ': ')"/>
    <xsl:variable name="who" select="concat($op/@id, ' (rsc=', $op/../../@id, $set, '): ')"/>
    <xsl:choose>
      <xsl:when test="$op/@name = 'start' or $op/@name = 'promote'">
        <xsl:message>DEBUG: <xsl:value-of select="concat($head, $who)"/>moving requires under <xsl:value-of select="$target"/> <!--
          --><xsl:text> as requires unless already defined there for matching start|promote</xsl:text></xsl:message>
      </xsl:when>
      <xsl:otherwise>
        <xsl:message>INFO: <xsl:value-of select="concat($head, $who)"/>dropping requires</xsl:message>
        <xsl:message>INFO: <xsl:value-of select="$head"/>... only start/promote operation taken into account</xsl:message>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <!-- Parameters of an operation that become its meta-attributes: the last one of a name counted. -->
  <xsl:key name="moved-of-op" use="generate-id(../..)" match="op/instance_attributes/nvpair[@name != 'requires']
      [key('gone', generate-id())]
      [not(@name = ../../meta_attributes/nvpair/@name)]
      [not(@name = following-sibling::nvpair/@name)]
      [not(@name = ../following-sibling::instance_attributes/nvpair/@name)]"/>

  <xsl:template name="moved-of-op">
    <xsl:variable name="moved" select="key('moved-of-op', generate-id())"/>
    <xsl:for-each select="instance_attributes[nvpair[key('gone', generate-id())]]">
      <xsl:if test="position() &gt; 1">
        <xsl:call-template name="space-before"/>
      </xsl:if>
      <xsl:for-each select="nvpair">
        <xsl:if test="count(.|$moved) = count($moved)">
          <xsl:call-template name="space-before"/>
          <xsl:copy-of select="."/>
        </xsl:if>
      </xsl:for-each>
    </xsl:for-each>
  </xsl:template>

  <!-- They join the operation's first set that stays, if there is one. -->
  <xsl:template match="op/meta_attributes[not(key('set-gone', generate-id()))]
                         [not(preceding-sibling::meta_attributes[not(key('set-gone', generate-id()))])]">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
      <xsl:for-each select="..">
        <xsl:call-template name="moved-of-op"/>
      </xsl:for-each>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="op">
    <xsl:variable name="moved" select="key('moved-of-op', generate-id())"/>
    <xsl:variable name="last-text" select="text()[last()]"/>
    <xsl:copy>
      <xsl:apply-templates select="@*"/>
      <xsl:if test="$moved or comment() or *[not(key('set-gone', generate-id()))]">
        <xsl:apply-templates select="node()"/>
      </xsl:if>
      <xsl:if test="$moved and not(meta_attributes[not(key('set-gone', generate-id()))])">
        <meta_attributes id="_2TO3_{@id}-meta">
          <xsl:call-template name="moved-of-op"/>
          <xsl:value-of select="$last-text"/>
        </meta_attributes>
        <xsl:value-of select="$last-text"/>
      </xsl:if>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="primitive|template">
    <xsl:variable name="ops" select="operations/op[@name = 'start' or @name = 'promote']"/>
    <xsl:variable name="attribute" select="$ops/@requires"/>
    <xsl:variable name="meta" select="$ops/meta_attributes/nvpair[@name = 'requires']"/>
    <xsl:variable name="instance" select="$ops/instance_attributes/nvpair[@name = 'requires']"/>
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
      <xsl:if test="not(meta_attributes/nvpair[@name = 'requires'])">
        <xsl:choose>
          <xsl:when test="$attribute">
            <xsl:variable name="source" select="$attribute[last()]"/>
            <xsl:variable name="space" select="text()[last()]"/>
            <meta_attributes id="_2TO3_{@id}-meta">
              <nvpair id="_2TO3_{$source/../@id}-meta-requires" name="requires" value="{$source}"/>
              <xsl:value-of select="$space"/>
            </meta_attributes>
            <xsl:value-of select="$space"/>
          </xsl:when>
          <xsl:when test="$meta">
            <xsl:apply-templates select="$meta[last()]" mode="to-resource"/>
          </xsl:when>
          <xsl:when test="$instance">
            <xsl:apply-templates select="$instance[last()]" mode="to-resource"/>
          </xsl:when>
        </xsl:choose>
      </xsl:if>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="nvpair" mode="to-resource">
    <meta_attributes id="_2TO3_{../@id}">
      <xsl:copy-of select="../text()|../comment()"/>
      <xsl:if test="key('set-gone', generate-id(..))">
        <xsl:copy-of select="../rule"/>
      </xsl:if>
      <xsl:copy-of select="."/>
      <xsl:value-of select="../text()[last()]"/>
    </meta_attributes>
    <xsl:value-of select="../text()[last()]"/>
  </xsl:template>

</xsl:stylesheet>
