<?xml version="1.0" encoding="UTF-8"?>
<!--
3.10 to 4.0, step 4: what is no longer supported goes, and with it what is nothing without it.

Nagios and Upstart resources, rkt bundles, meta-attributes that nothing reads.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml" encoding="UTF-8" indent="yes" omit-xml-declaration="yes"/>
  <xsl:strip-space elements="*"/>

  <xsl:template match="@*|node()">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <!-- The state of the cluster is not configuration. -->
  <xsl:template match="/cib/status/node()">
    <xsl:copy-of select="."/>
  </xsl:template>

  <!-- What goes. A collective resource without members goes too; a bundle's container goes on without its resource. -->
  <xsl:variable name="lost-templates" select="/cib/configuration/resources/template[@class = 'nagios' or @class = 'upstart']"/>
  <xsl:variable name="lost-primitives" select="/cib/configuration/resources//primitive[@class = 'nagios' or @class = 'upstart'
                                               or @template = $lost-templates/@id]"/>
  <xsl:variable name="lost-groups" select="/cib/configuration/resources//group[primitive]
                                           [not(primitive[not(@id = $lost-primitives/@id)])]"/>
  <xsl:variable name="lost-clones" select="/cib/configuration/resources/clone[primitive/@id = $lost-primitives/@id
                                           or group/@id = $lost-groups/@id]"/>
  <xsl:variable name="lost-bundles" select="/cib/configuration/resources/bundle[rkt]"/>
  <xsl:variable name="lost" select="$lost-primitives | $lost-groups | $lost-clones | $lost-bundles
                                    | $lost-bundles/primitive"/>

  <xsl:template match="resources/template[@class = 'nagios' or @class = 'upstart']">
    <xsl:message>WARNING: Dropping template <xsl:value-of select="@id"/> because <xsl:value-of select="@class"/> <!--
      --><xsl:text> resources are no longer supported</xsl:text></xsl:message>
    <dropped/>
  </xsl:template>

  <xsl:template match="resources//primitive[@class = 'nagios' or @class = 'upstart' or @template]">
    <xsl:variable name="class" select="@class | $lost-templates[@id = current()/@template]/@class"/>
    <xsl:choose>
      <xsl:when test="$class = 'nagios' or $class = 'upstart'">
        <xsl:message>WARNING: Dropping resource <xsl:value-of select="@id"/> because <xsl:value-of select="$class"/> <!--
          --><xsl:text> resources are no longer supported</xsl:text></xsl:message>
        <dropped/>
      </xsl:when>
      <xsl:otherwise>
        <xsl:copy>
          <xsl:apply-templates select="@*|node()"/>
        </xsl:copy>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template match="resources//group|resources/clone">
    <xsl:choose>
      <xsl:when test="@id = $lost-groups/@id or @id = $lost-clones/@id">
        <xsl:message>INFO: Dropping <xsl:value-of select="name()"/> <xsl:text> </xsl:text> <!--
          --><xsl:value-of select="@id"/> because it would become empty</xsl:message>
        <dropped/>
      </xsl:when>
      <xsl:otherwise>
        <xsl:copy>
          <xsl:apply-templates select="@*|node()"/>
        </xsl:copy>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template match="resources/bundle[rkt]">
    <xsl:message>WARNING: Dropping bundle resource <xsl:value-of select="@id"/> because rkt containers are no longer <!--
      -->supported</xsl:message>
    <dropped/>
  </xsl:template>

  <!-- Constraints with what goes. -->
  <xsl:template match="constraints/*">
    <xsl:choose>
      <xsl:when test="@rsc = $lost/@id or @with-rsc = $lost/@id or @first = $lost/@id or @then = $lost/@id
                      or (resource_set and not(resource_set[resource_ref[not(@id = $lost/@id)]]))">
        <dropped/>
      </xsl:when>
      <xsl:otherwise>
        <xsl:copy>
          <xsl:apply-templates select="@*|node()"/>
        </xsl:copy>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template match="constraints//resource_set">
    <xsl:choose>
      <xsl:when test="resource_ref and not(resource_ref[not(@id = $lost/@id)])">
        <dropped/>
      </xsl:when>
      <xsl:otherwise>
        <xsl:copy>
          <xsl:apply-templates select="@*|node()"/>
        </xsl:copy>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template match="constraints//resource_ref">
    <xsl:choose>
      <xsl:when test="@id = $lost/@id">
        <dropped/>
      </xsl:when>
      <xsl:otherwise>
        <xsl:copy-of select="."/>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <!-- Meta-attributes. -->
  <xsl:template match="op/meta_attributes/nvpair[@name = 'can_fail' or @name = 'role_after_failure']
                       |op_defaults/meta_attributes/nvpair[@name = 'can_fail' or @name = 'role_after_failure']">
    <xsl:call-template name="drop-meta">
      <xsl:with-param name="instead">"on-fail" operation attribute instead</xsl:with-param>
    </xsl:call-template>
  </xsl:template>

  <xsl:template match="resources//meta_attributes[not(parent::op)]/nvpair[@name = 'restart-type']
                       |rsc_defaults/meta_attributes/nvpair[@name = 'restart-type']">
    <xsl:call-template name="drop-meta">
      <xsl:with-param name="instead">"kind" attribute for relevant constraints</xsl:with-param>
    </xsl:call-template>
  </xsl:template>

  <xsl:template name="drop-meta">
    <xsl:param name="instead"/>
    <xsl:if test="not(@original = '0')">
      <xsl:message>WARNING: Dropping <xsl:value-of select="@name"/> meta-attribute from <!--
        --><xsl:value-of select="../@id"/> because it is no longer supported. Consider setting the <!--
        --><xsl:value-of select="$instead"/></xsl:message>
    </xsl:if>
    <dropped/>
  </xsl:template>

</xsl:stylesheet>
